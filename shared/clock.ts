/** Time and randomness as arguments: pure code takes a `Clock` and a `Random`, never the globals. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** A number in [0, 1). */
export type Random = () => number;

export const systemClock: Clock = { now: () => Date.now() };
