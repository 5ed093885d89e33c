import hogvm from "@posthog/hogvm";
import ivm from "isolated-vm";
import { SCRIPT } from "./script.ts";

/** Memory that an isolate may take: what RudderStack's transformer gives one by default. */
const ISOLATE_MB = 128;
const TIMEOUT_MS = 4_000;

/** Around the script, as RudderStack's transformer has it: every event by itself and asynchronous, its metadata kept beside it. */
const WRAPPER = `
import { transform } from "./script.js";
export async function transformAll(events) {
  const metadata = {};
  for (const event of events) metadata[event.uuid] = { messageId: event.uuid };
  return Promise.all(
    events.map(async (event) => {
      try {
        return { transformedEvent: await transform(event, () => metadata[event.uuid]), metadata: metadata[event.uuid] };
      } catch (error) {
        return { error: String(error), metadata: metadata[event.uuid] };
      }
    }),
  );
}
`;

/**
 * A batch through isolated-vm the way RudderStack's transformer does it: an isolate and a context for the batch, the script
 * compiled in it, the events copied in, the answer copied out, everything let go.
 */
export async function throughIsolatedVm(events: readonly unknown[]): Promise<unknown[]> {
  const isolate = new ivm.Isolate({ memoryLimit: ISOLATE_MB });
  try {
    const context = await isolate.createContext();
    const run = await compiled(isolate, context);
    return await copied(run, events);
  } finally {
    isolate.dispose();
  }
}

/** The same with one isolate kept for all batches: what its newer cache can save at most. */
export async function keptIsolatedVm(): Promise<{
  run(events: readonly unknown[]): Promise<unknown[]>;
  dispose(): void;
}> {
  const isolate = new ivm.Isolate({ memoryLimit: ISOLATE_MB });
  const run = await compiled(isolate, await isolate.createContext());
  return { run: (events) => copied(run, events), dispose: () => isolate.dispose() };
}

async function compiled(isolate: ivm.Isolate, context: ivm.Context): Promise<ivm.Reference> {
  const script = await isolate.compileModule(SCRIPT);
  await script.instantiate(context, () => {
    throw new Error("the script imports nothing");
  });
  const wrapper = await isolate.compileModule(WRAPPER);
  await wrapper.instantiate(context, () => script);
  await wrapper.evaluate();
  return wrapper.namespace.get("transformAll", { reference: true });
}

async function copied(run: ivm.Reference, events: readonly unknown[]): Promise<unknown[]> {
  const copy = new ivm.ExternalCopy(events).copyInto({ release: true });
  return run.apply(undefined, [copy], { timeout: TIMEOUT_MS, result: { promise: true, copy: true } }) as Promise<
    unknown[]
  >;
}

const [GET_GLOBAL, CALL_GLOBAL, NULL, STRING, RETURN, GET_LOCAL, GET_PROPERTY, SET_PROPERTY] = [
  1, 2, 31, 32, 38, 36, 45, 46,
];

/**
 * The script as Hog's compiler would have it: `let e := event; e.properties.plan_upper := upper(event.properties.plan);
 * e.properties.email := null; return e`.
 */
const HOG = [
  ...["_H", 1],
  ...[STRING, "event", GET_GLOBAL, 1],
  ...[GET_LOCAL, 0, STRING, "properties", GET_PROPERTY, STRING, "plan_upper"],
  ...[STRING, "plan", STRING, "properties", STRING, "event", GET_GLOBAL, 3, CALL_GLOBAL, "upper", 1, SET_PROPERTY],
  ...[GET_LOCAL, 0, STRING, "properties", GET_PROPERTY, STRING, "email", NULL, SET_PROPERTY],
  ...[GET_LOCAL, 0, RETURN],
];

/** One event through PostHog's Hog interpreter. */
export function throughHog(event: unknown): unknown {
  const { result, error } = hogvm.exec(HOG, { globals: { event }, timeout: TIMEOUT_MS });
  if (error !== undefined) throw error;
  return result;
}
