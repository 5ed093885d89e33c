/**
 * How long a batch keeps everybody else waiting. Fuel counts steps, and a step takes as long as it likes; the clock of an isolate
 * stands still while it computes, and nobody else is answered meanwhile. So the event loop turns now and then, and a batch that has
 * had its time ends early: the events that have not run come again with the next one.
 *
 * A turn costs about a millisecond. How many runs of a script there are between two is learned from how long they take: the first run of
 * an isolate is followed by one, ordinary scripts soon have none within a batch.
 */
import type { Idle } from "./settle.ts";

const { floor, max, min } = Math;

/** Between two turns. */
const TARGET_MS = 50;
/** The dearest event may take as many: then a turn is due whatever was learned. */
const STEPS_BEFORE_REST = 500_000;
/** What was learned of few runs is believed for so many times of them. */
const GROWTH = 8;
/** A batch of ordinary scripts takes a tenth of it. */
const SLICE_MS = 200;

export class TimeSlice {
  readonly #idle: Idle;
  readonly #now: () => number;
  /** Runs between two turns. */
  #every = 1;
  #runs = 0;
  #steps = 0;
  #startedAt = 0;
  #restedAt = 0;
  /** Index of the first input that had no time left; null while there is some. */
  overAt: number | null = null;

  /** `now`: milliseconds; moves on at least when `idle` has resolved. */
  constructor(idle: Idle, now: () => number) {
    this.#idle = idle;
    this.#now = now;
  }

  begin(): void {
    this.#startedAt = this.#now();
    this.#restedAt = this.#startedAt;
    this.#runs = 0;
    this.#steps = 0;
    this.overAt = null;
  }

  /**
   * What comes now has the time of a batch to itself: a call that takes a whole batch cannot end early, and what it took says nothing of
   * how many events there is time for behind it.
   */
  async renew(): Promise<void> {
    if (this.#runs > 0) await this.#idle();
    this.begin();
  }

  /** A script has run, and used so many steps. */
  spend(steps: number): void {
    this.#runs++;
    this.#steps += steps;
  }

  /** Asked between events. */
  get isRestDue(): boolean {
    return this.#runs >= this.#every || this.#steps >= STEPS_BEFORE_REST;
  }

  /** True where the time is over; then the next batch starts with input `next`. */
  async rest(next: number): Promise<boolean> {
    await this.#idle();
    const now = this.#now();
    const perRun = (now - this.#restedAt) / this.#runs;
    this.#every = max(1, min(this.#every * GROWTH, floor(TARGET_MS / perRun)));
    this.#restedAt = now;
    this.#runs = 0;
    this.#steps = 0;
    if (now - this.#startedAt < SLICE_MS) return false;
    this.overAt = next;
    return true;
  }
}
