import type { Event } from "../../../../../shared/event.ts";

/** What the chain gives to every script, as far as adapters use it. */
export interface Context {
  readonly team: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly credentials?: Readonly<Record<string, string>>;
  readonly log: (...values: unknown[]) => void;
}

/** The module that the author wrote. */
export type Script = Readonly<Record<string, unknown>>;

/** What one event became. */
export type Outcome = Event | Event[] | null;

/** Goes on with what a script returned: at once, or when its promise resolves. */
export function whenReturned<T, R>(returned: T | PromiseLike<T>, next: (value: T) => R): R | Promise<R> {
  if (!isThenable(returned)) return next(returned);
  return Promise.resolve(returned).then(next);
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    value !== null && typeof value === "object" && typeof (value as { then?: unknown } | undefined)?.then === "function"
  );
}

/**
 * Sorts what a batch function returned to the events that it was given: by the object itself, else by its id, else to the event
 * before it in the answer. What no event is left for was dropped.
 */
export function sortOutputs<T extends object>(
  given: readonly T[],
  returned: readonly unknown[],
  idOf: (item: T) => unknown,
): { item: T; isNew: boolean }[][] {
  const byObject = new Map(given.map((item, i) => [item, i]));
  const byId = new Map<unknown, number[]>();
  given.forEach((item, i) => {
    const id = idOf(item);
    const known = byId.get(id);
    if (known === undefined) byId.set(id, [i]);
    else known.push(i);
  });
  const slots: { item: T; isNew: boolean }[][] = given.map(() => []);
  let last = 0;
  for (const item of returned as readonly (T | null | undefined)[]) {
    if (item === null || item === undefined) continue;
    const candidates = byId.get(idOf(item)) ?? [];
    const at = byObject.get(item) ?? candidates.find((i) => slots[i]?.length === 0) ?? candidates[0];
    if (at !== undefined) last = at;
    slots[last]?.push({ item, isNew: at === undefined });
  }
  return slots;
}

/** As `transformBatch` answers: an event, several, or null for each one that it was given. */
export function asOutcome(events: Event[]): Outcome {
  return events.length === 0 ? null : events.length === 1 ? (events[0] as Event) : events;
}
