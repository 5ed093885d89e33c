import type { Bundle } from "../../shared/snapshot.ts";
import { bundleHash } from "../../workers/transform/bundle.ts";
import { compileBundle } from "../../workers/transform/compile.ts";
import { BatchTemplate } from "../events.ts";
import { IsolateRig } from "../isolate-rig.ts";
import { inTurns, type Row } from "../report.ts";
import { SCRIPT } from "../script.ts";
import type { Scenario } from "./scenario.ts";

const BATCH = 500;
const WARM_REQUESTS = 3;
const MEASURED_REQUESTS = 12;
const TURNS = 5;

/** A script whose loops and calls are many, for what fuel costs. */
const LOOPING = `
function weight(text) {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum = (sum * 31 + text.charCodeAt(i)) | 0;
  return sum;
}
export function transform(event) {
  for (const name of Object.keys(event.properties)) event.properties.weight = weight(name);
  return event;
}
`;

function lines(): string {
  const { batch } = JSON.parse(new BatchTemplate("http://127.0.0.1", "phc_bench", BATCH).body) as { batch: object[] };
  const rest = { ip: "203.0.113.7", received_at: "2026-01-01T00:00:01.000Z", source: "posthog" };
  return batch.map((event) => JSON.stringify({ ...event, ...rest })).join("\n");
}

function bundleOf(code: string): Promise<Bundle> {
  return compileBundle({ team: "bench", scripts: [{ id: "s", code, on_error: "pass", inputs: {} }], filters: {} });
}

/** The same bundle without fuel: what the author wrote. */
async function withoutFuel(bundle: Bundle, code: string): Promise<Bundle> {
  const { hash: _hash, ...rest } = bundle;
  const plain = { ...rest, modules: { ...rest.modules, "script-0.js": code } };
  return { ...plain, hash: await bundleHash(plain) };
}

export const isolate: Scenario = {
  name: "isolate",
  about:
    "inside one workerd: batches of 500 through an isolate against a bare loop, and scripts with fuel against the same without",
  run: async () => {
    const rig = await IsolateRig.start();
    const events = lines();
    const measure = async (bundle: Bundle, how: "bare" | "isolate") => {
      await rig.use(bundle, events);
      await rig.rate(how, WARM_REQUESTS, BATCH);
      return rig.rate(how, MEASURED_REQUESTS, BATCH);
    };
    const script = await bundleOf(SCRIPT);
    const loop = await inTurns(
      TURNS,
      () => measure(script, "bare"),
      () => measure(script, "isolate"),
    );
    const looping = await bundleOf(LOOPING);
    const free = await withoutFuel(looping, LOOPING);
    const fuel = await inTurns(
      TURNS,
      () => measure(free, "isolate"),
      () => measure(looping, "isolate"),
    );
    await rig.stop();
    const rows: Row[] = [
      {
        what: `events in batches of ${BATCH} through an isolate`,
        ...{ value: loop.measured, unit: "events/s", atLeast: 0.6 },
        baseline: { what: "events/s in a bare loop in the same workerd", value: loop.baseline },
      },
      {
        what: "events through a script that loops, with fuel",
        ...{ value: fuel.measured, unit: "events/s", atLeast: 0.95 },
        baseline: { what: "events/s without", value: fuel.baseline },
      },
    ];
    return rows;
  },
};
