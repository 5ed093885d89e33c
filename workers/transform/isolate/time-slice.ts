/**
 * How long a batch keeps everybody else waiting. Fuel counts steps, and a step takes as long as it likes; the clock of an isolate
 * stands still while it computes, and nobody else is answered meanwhile. So once enough steps were used the event loop turns,
 * and a batch that has had its time ends early: the events that have not run come again with the next one.
 */
import type { Idle } from "./settle.ts";

/** The dearest event may take as many. Ordinary batches of 500 events take fewer, and never wait. */
const STEPS_BEFORE_REST = 500_000;
/** A batch of ordinary scripts takes a tenth of it. */
const SLICE_MS = 200;

export class TimeSlice {
  readonly #idle: Idle;
  readonly #now: () => number;
  #steps = 0;
  #startedAt = 0;
  /** Index of the first input that had no time left; null while there is some. */
  overAt: number | null = null;

  /** `now`: milliseconds; moves on at least when `idle` has resolved. */
  constructor(idle: Idle, now: () => number) {
    this.#idle = idle;
    this.#now = now;
  }

  begin(): void {
    this.#steps = 0;
    this.#startedAt = this.#now();
    this.overAt = null;
  }

  spend(steps: number): void {
    this.#steps += steps;
  }

  /** Asked after each event: a rest costs a turn of the event loop, asking costs nothing. */
  get isRestDue(): boolean {
    return this.#steps >= STEPS_BEFORE_REST;
  }

  /** True where the time is over; then the next batch starts with input `next`. */
  async rest(next: number): Promise<boolean> {
    this.#steps = 0;
    await this.#idle();
    if (this.#now() - this.#startedAt < SLICE_MS) return false;
    this.overAt = next;
    return true;
  }
}
