import { BatchTemplate } from "../events.ts";
import { keptIsolatedVm, throughHog, throughIsolatedVm } from "../peers.ts";
import { inTurns, type Row } from "../report.ts";
import { SandboxRig } from "../sandbox-rig.ts";
import { SCRIPT } from "../script.ts";
import type { Scenario } from "./scenario.ts";

const BATCH = 200;
const TURN_MS = 3_000;
const TURNS = 3;

/** Events as JSON lines: what each runner gets, and what it has to give back. */
function lines(): string[] {
  const { batch } = JSON.parse(new BatchTemplate("http://127.0.0.1", "phc_bench", BATCH).body) as { batch: object[] };
  const rest = { ip: "203.0.113.7", received_at: "2026-01-01T00:00:01.000Z", source: "posthog" };
  return batch.map((event) => JSON.stringify({ ...event, ...rest }));
}

async function rate(batch: () => Promise<void>): Promise<number> {
  const started = performance.now();
  let events = 0;
  for (; performance.now() - started < TURN_MS; events += BATCH) await batch();
  return events / ((performance.now() - started) / 1_000);
}

/** From JSON lines to JSON lines, as a pipeline has them. */
function piped(run: (events: unknown[]) => unknown[] | Promise<unknown[]>): () => Promise<void> {
  const input = lines();
  return async () => {
    const out = await run(input.map((line) => JSON.parse(line) as unknown));
    if (out.length !== BATCH) throw new Error(`bench: ${out.length} of ${BATCH} events came back`);
    out.map((event) => JSON.stringify(event));
  };
}

export const peers: Scenario = {
  name: "peers",
  about: `the same script in batches of ${BATCH} through the sandbox process, isolated-vm and Hog's interpreter`,
  run: async () => {
    const rig = await SandboxRig.start(SCRIPT, lines());
    const kept = await keptIsolatedVm();
    const rivals: { what: string; atLeast?: number; run: () => Promise<void> }[] = [
      { what: "isolated-vm, an isolate a batch", atLeast: 4, run: piped(throughIsolatedVm) },
      { what: "isolated-vm, one isolate kept", run: piped(kept.run) },
      { what: "@posthog/hogvm", atLeast: 20, run: piped((events) => events.map(throughHog)) },
    ];
    const rows: Row[] = [];
    for (const { what, atLeast, run } of rivals) {
      const { baseline, measured } = await inTurns(
        TURNS,
        () => rate(run),
        () => rig.rate(1, TURN_MS),
      );
      rows.push({
        what: `events in batches of ${BATCH} through the sandbox process`,
        ...{ value: measured, unit: "events/s", baseline: { what: `events/s through ${what}`, value: baseline } },
        ...(atLeast === undefined ? {} : { atLeast }),
      });
    }
    kept.dispose();
    await rig.stop();
    return rows;
  },
};
