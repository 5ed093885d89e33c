import { TenWebhooks } from "../../test/e2e/ten-webhooks.ts";
import { median, type Row } from "../report.ts";
import type { Scenario } from "./scenario.ts";

const CALM_MS = 15_000;
const TROUBLE_MS = 45_000;

export const isolation: Scenario = {
  name: "isolation",
  about: "four healthy webhooks beside three dead ones, a slow (9 s), a flapping and a throttling one",
  run: async () => {
    const ten = await TenWebhooks.start();
    const { p99Ms, tries } = await ten.run(CALM_MS, TROUBLE_MS);
    await ten.stop();
    console.log(`  requests in ${TROUBLE_MS / 1_000} s of trouble: ${JSON.stringify(tries)}`);
    const rows: Row[] = [
      {
        what: "healthy webhooks beside six in trouble, p99 from answer to delivery, slowest of four against its own",
        value: Math.max(...p99Ms.map(({ calm, beside }) => beside / calm)),
        ...{ unit: "× of undisturbed", atMost: 1.5 },
      },
      { what: "the same undisturbed, median of four", value: median(p99Ms.map(({ calm }) => calm)), unit: "ms" },
    ];
    return rows;
  },
};
