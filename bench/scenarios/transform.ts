import { BatchTemplate } from "../events.ts";
import { inTurns, type Row } from "../report.ts";
import { SandboxRig } from "../sandbox-rig.ts";
import { SCRIPT } from "../script.ts";
import type { Scenario } from "./scenario.ts";

const BATCH = 500;
const ROUND_MS = 4_000;
const ROUNDS = 3;

type Transform = (event: unknown, ctx: object) => unknown;

/** The events of one request as the lane keeps them: one JSON line each. */
function lines(): string[] {
  const { batch } = JSON.parse(new BatchTemplate("http://127.0.0.1", "phc_bench", BATCH).body) as { batch: object[] };
  return batch.map((event) => JSON.stringify(event));
}

/** Events per second of a loop, in batches. */
async function rate(batch: () => void): Promise<number> {
  const started = performance.now();
  let events = 0;
  while (performance.now() - started < ROUND_MS) {
    batch();
    events += BATCH;
  }
  return events / ((performance.now() - started) / 1_000);
}

/** Parse, the same script, stringify: nothing between the script and the bytes. */
async function bareLoop(ndjson: string): Promise<() => string> {
  const { transform } = (await import(`data:text/javascript,${encodeURIComponent(SCRIPT)}`)) as {
    transform: Transform;
  };
  return () => {
    const out: string[] = [];
    for (const line of ndjson.split("\n")) out.push(JSON.stringify(transform(JSON.parse(line), {})));
    return out.join("\n");
  };
}

export const transform: Scenario = {
  name: "transform",
  about:
    "batches of 500 events through the sandbox process against the same script in a bare loop with parse and stringify",
  run: async () => {
    const rig = await SandboxRig.start(SCRIPT, lines());
    const bare = await bareLoop(lines().join("\n"));
    const rows: Row[] = [];
    for (const underWay of [1, 2]) {
      const { baseline, measured } = await inTurns(
        ROUNDS,
        () => rate(bare),
        () => rig.rate(underWay, ROUND_MS),
      );
      rows.push({
        what: `transformed events in batches of ${BATCH}, ${underWay} under way`,
        value: measured,
        unit: "events/s",
        baseline: { what: "events/s in a bare loop", value: baseline },
        atLeast: 0.4,
      });
    }
    await rig.stop();
    return rows;
  },
};
