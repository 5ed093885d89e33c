import { BatchTemplate } from "../events.ts";
import { inTurns, type Row } from "../report.ts";
import { WebhookRig } from "../webhook-rig.ts";
import type { Scenario } from "./scenario.ts";

/** Events a request → requests a turn, so that a turn takes seconds. */
const SIZES: [size: number, requests: number][] = [
  [100, Number(process.env.WEBHOOK_REQUESTS ?? 2_000)],
  [1, Number(process.env.WEBHOOK_REQUESTS ?? 10_000)],
];
const TURNS = 5;

function event(): string {
  const { batch } = JSON.parse(new BatchTemplate("http://127.0.0.1", "phc_bench", 1).body) as { batch: [object] };
  const rest = { ip: "203.0.113.7", received_at: "2026-01-01T00:00:01.000Z", source: "posthog" };
  return JSON.stringify({ ...batch[0], ...rest });
}

export const webhook: Scenario = {
  name: "webhook",
  about: "inside one workerd: an outbox drains to a local webhook, against bare fetches of the same bodies",
  run: async () => {
    const rig = await WebhookRig.start();
    const line = event();
    const rows: Row[] = [];
    for (const [size, requests] of SIZES) {
      await rig.rate("drain", Math.ceil(requests / 10), size, line);
      const { baseline, measured } = await inTurns(
        TURNS,
        () => rig.rate("bare", requests, size, line),
        () => rig.rate("drain", requests, size, line),
      );
      rows.push({
        what: `events to a local webhook, ${size} a request`,
        ...{ value: measured, unit: "events/s", atLeast: 0.6 },
        baseline: { what: "events/s with bare fetches in the same workerd", value: baseline },
      });
    }
    await rig.stop();
    return rows;
  },
};
