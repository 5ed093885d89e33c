import type { Clock } from "../../../shared/clock.ts";
import type { DailyResource } from "../../../shared/lane-api.ts";

/** Longer than any append may take. */
const GENERATION_MS = 10_000;

/** Events that were let in and whose outcome is open, by resource, in the older and the newer of two generations. */
type Counts = Map<DailyResource, number>;

/**
 * A request that the runtime ends, because its client has left, gives nothing back: what it took is forgotten with its generation.
 */
export class UnderWay {
  readonly #clock: Clock;
  #older: Counts = new Map();
  #newer: Counts = new Map();
  #newerSince = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(resource: DailyResource): number {
    this.#turn();
    return (this.#older.get(resource) ?? 0) + (this.#newer.get(resource) ?? 0);
  }

  /** Gives the way to take it back: once. */
  add(resource: DailyResource): () => void {
    this.#turn();
    const counts = this.#newer;
    counts.set(resource, (counts.get(resource) ?? 0) + 1);
    return () => counts.set(resource, (counts.get(resource) ?? 0) - 1);
  }

  #turn(): void {
    const now = this.#clock.now();
    if (now - this.#newerSince < GENERATION_MS) return;
    this.#older = now - this.#newerSince < 2 * GENERATION_MS ? this.#newer : new Map();
    this.#newer = new Map();
    this.#newerSince = now;
  }
}
