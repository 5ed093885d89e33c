import { buildWorkers } from "../../runtime/build.ts";
import { projectRoot } from "../../runtime/project.ts";
import { startSandbox } from "../../runtime/sandbox-process.ts";
import type { RunResult } from "../../shared/sandbox-api.ts";
import { compileBundle } from "../../workers/transform/compile.ts";
import { refuseOtherThan200 } from "../checks.ts";
import { BatchTemplate } from "../events.ts";
import { load, postRequest } from "../load.ts";
import { inTurns, type Row } from "../report.ts";
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

/** Events per second through the sandbox with so many batches under way; it runs one at a time. */
async function sandboxRate(address: string, path: string, ndjson: string, underWay: number): Promise<number> {
  const bytes = postRequest(`http://${address}`, path, Buffer.from(ndjson));
  const options = { url: `http://${address}`, connections: underWay, durationMs: ROUND_MS, request: () => bytes };
  return refuseOtherThan200(await load(options)).rps * BATCH;
}

/** One batch, to see that the script ran on every event of it and threw on none. */
async function check(address: string, path: string, ndjson: string): Promise<void> {
  const response = await fetch(`http://${address}${path}`, { method: "POST", body: ndjson });
  const [result = "", ...events] = (await response.text()).split("\n");
  const { errors } = JSON.parse(result) as RunResult;
  const changed = events.filter((line) => line.includes('"plan_upper":') && !line.includes('"email":'));
  if (errors.length > 0 || changed.length !== BATCH)
    throw new Error(`bench: the sandbox answered ${response.status} ${result}`);
}

export const transform: Scenario = {
  name: "transform",
  about:
    "batches of 500 events through the sandbox process against the same script in a bare loop with parse and stringify",
  run: async () => {
    const { transform: worker } = await buildWorkers();
    const sandbox = await startSandbox({ worker, root: projectRoot, port: 0, log: () => {} });
    const script = { id: "script", code: SCRIPT, on_error: "pass" as const, inputs: {} };
    const bundle = await compileBundle({ team: "bench", scripts: [script], filters: {} });
    const put = await fetch(`http://${sandbox.address}/bundles/${bundle.hash}`, {
      method: "PUT",
      body: JSON.stringify(bundle),
    });
    if (!put.ok) throw new Error(`bench: the sandbox refused the bundle with ${put.status} ${await put.text()}`);
    const ndjson = lines().join("\n");
    const path = `/run/${bundle.hash}`;
    const bare = await bareLoop(ndjson);
    await check(sandbox.address, path, ndjson);
    const rows: Row[] = [];
    for (const underWay of [1, 2]) {
      const { baseline, measured } = await inTurns(
        ROUNDS,
        () => rate(bare),
        () => sandboxRate(sandbox.address, path, ndjson, underWay),
      );
      rows.push({
        what: `transformed events in batches of ${BATCH}, ${underWay} under way`,
        value: measured,
        unit: "events/s",
        baseline: { what: "events/s in a bare loop", value: baseline },
        atLeast: 0.4,
      });
    }
    await sandbox.stop();
    return rows;
  },
};
