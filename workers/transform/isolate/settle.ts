/** Lets asynchronous scripts wait for what takes no time: nothing in an isolate takes any, so a promise settles soon or never. */
import { OutputError } from "./output.ts";

const { then } = Promise.prototype;
const { apply } = Reflect;

/** Microtasks before asking for more: most promises need a handful, and a task costs as much as thousands of them. */
const SHORT_WAIT_TURNS = 32;

/** Resolves once every microtask that is due has run. */
export type Idle = () => Promise<void>;

/** What a script's promise resolves to; what is no promise is itself. Throws what it rejects with, and where it stays pending. */
export async function settled(returned: unknown, idle: Idle): Promise<unknown> {
  if (!isThenable(returned)) return returned;
  let state: "pending" | "fulfilled" | "rejected" = "pending";
  let value: unknown;
  // A promise of our own, whatever `then` the script's one has.
  const own = new Promise<unknown>((resolve) => resolve(returned));
  apply(then, own, [
    (result: unknown) => {
      state = "fulfilled";
      value = result;
    },
    (error: unknown) => {
      state = "rejected";
      value = error;
    },
  ]);
  const isPending = () => state === "pending";
  for (let turn = 0; turn < SHORT_WAIT_TURNS && isPending(); turn++) await undefined;
  if (isPending()) await idle();
  if (isPending()) throw new OutputError("returned a promise that never resolves: there is nothing here to wait for");
  if ((state as string) === "rejected") throw value;
  return value;
}

function isThenable(value: unknown): boolean {
  return value !== null && typeof value === "object" && typeof (value as { then?: unknown }).then === "function";
}
