import { startHeadwater } from "../../test/e2e/headwater.ts";
import { refuseOtherThan200 } from "../checks.ts";
import { BatchTemplate } from "../events.ts";
import { load } from "../load.ts";
import { inTurns } from "../report.ts";
import type { Scenario } from "./scenario.ts";

const CONNECTIONS = 64;
const BATCH = 100;
const ROUND_MS = 4_000;
const ROUNDS = 3;

/** Events per second that one thread of this Node parses and writes again. */
async function parseAndStringify(body: string): Promise<number> {
  const started = performance.now();
  let events = 0;
  while (performance.now() - started < ROUND_MS) {
    JSON.stringify(JSON.parse(body));
    events += BATCH;
  }
  return events / ((performance.now() - started) / 1_000);
}

export const captureBatch: Scenario = {
  name: "capture-batch",
  about: "durable batches of 100 events against JSON.parse and JSON.stringify of the same bytes",
  run: async () => {
    const headwater = await startHeadwater({
      config: { teams: [{ id: "bench", name: "Bench", tokens: ["phc_bench"], transformations: [], destinations: [] }] },
    });
    const requests = new BatchTemplate(headwater.capture, "phc_bench", BATCH);
    const run = async () => {
      const options = {
        url: headwater.capture,
        connections: CONNECTIONS,
        durationMs: ROUND_MS,
        request: requests.next,
      };
      const result = refuseOtherThan200(await load(options));
      console.log(`  answers p50 ${result.p50Ms.toFixed(0)} ms, p99 ${result.p99Ms.toFixed(0)} ms`);
      return result.rps * BATCH;
    };
    await run();
    const { baseline, measured } = await inTurns(ROUNDS, () => parseAndStringify(requests.body), run);
    await headwater.stop();
    return [
      {
        what: `durable events in batches of ${BATCH}, ${CONNECTIONS} connections`,
        note: "no destination: capture alone",
        value: measured,
        unit: "events/s",
        baseline: { what: "events/s bare parse + stringify", value: baseline },
        atLeast: 0.25,
      },
    ];
  },
};
