import { startHeadwater } from "../../test/e2e/headwater.ts";
import { refuseOtherThan200 } from "../checks.ts";
import { BatchTemplate } from "../events.ts";
import { startHello } from "../hello.ts";
import { load } from "../load.ts";
import { inTurns } from "../report.ts";
import type { Scenario } from "./scenario.ts";

const CONNECTIONS = 256;
const ROUND_MS = 4_000;
const ROUNDS = 3;

export const captureSingle: Scenario = {
  name: "capture-single",
  about: "durable requests of one event against a hello-world worker that gets the same bytes",
  run: async () => {
    const hello = await startHello();
    const headwater = await startHeadwater({
      config: { teams: [{ id: "bench", name: "Bench", tokens: ["phc_bench"], transformations: [], destinations: [] }] },
    });
    const run = async (url: string) => {
      const requests = new BatchTemplate(url, "phc_bench", 1);
      return refuseOtherThan200(
        await load({ url, connections: CONNECTIONS, durationMs: ROUND_MS, request: requests.next }),
      ).rps;
    };
    await run(hello.url);
    await run(headwater.capture);
    const { baseline, measured } = await inTurns(
      ROUNDS,
      () => run(hello.url),
      () => run(headwater.capture),
    );
    await Promise.all([hello.stop(), headwater.stop()]);
    return [
      {
        what: `durable single events, ${CONNECTIONS} connections`,
        note: "no destination: capture alone",
        value: measured,
        unit: "requests/s",
        baseline: { what: "hello-world requests/s", value: baseline },
        atLeast: 0.35,
      },
    ];
  },
};
