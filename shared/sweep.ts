import { messageOf } from "./errors.ts";
import { logLine } from "./log.ts";

/** Objects woken at once: each call holds one of the invocation's connections. */
const SWEEP_CONCURRENCY_COUNT = 6;

/** Wakes every object of a list; one that cannot be woken is logged and does not keep the others waiting. */
export async function sweep<T>(objects: readonly T[], wake: (object: T) => Promise<void>, kind: string): Promise<void> {
  const left = [...objects];
  const worker = async () => {
    for (let object = left.shift(); object !== undefined; object = left.shift()) {
      try {
        await wake(object);
      } catch (error) {
        logLine({ level: "error", message: `a ${kind} could not be woken: ${messageOf(error)}`, ...object });
      }
    }
  };
  await Promise.all(Array.from({ length: SWEEP_CONCURRENCY_COUNT }, worker));
}
