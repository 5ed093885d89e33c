import type { Clock } from "../../../shared/clock.ts";
import { messageOf } from "../../../shared/errors.ts";
import type { Timer } from "../../../shared/timer.ts";

export interface RefreshedDeps<T> {
  read(): Promise<T>;
  clock: Clock;
  /** Of the current request. */
  timer(ms: number): Timer;
  /** Once for each row of reads that fail, and once when they succeed again. */
  log(record: { level: "warn" | "info"; message: string }): void;
}

export interface RefreshedOptions {
  /** What the value is called in the log. */
  name: string;
  /** A value of this age is read again: behind the answer of a request, which itself has the old one. */
  refreshMs: number;
  /** How long a request waits where nothing has ever been read. */
  firstWaitMs: number;
}

/**
 * A value that lives elsewhere, kept by an isolate. Isolates have no timers of their own: requests refresh it in passing, one
 * for all, and none waits but the first ones. A read that fails or never ends leaves the value as it is.
 */
export class Refreshed<T> {
  readonly #deps: RefreshedDeps<T>;
  readonly #options: RefreshedOptions;
  #value: { value: T; readAt: number } | null = null;
  #reading: Promise<void> | null = null;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failing = false;

  constructor(deps: RefreshedDeps<T>, options: RefreshedOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** The value and when it was read; null where it never was. Never rejects. */
  async get(waitUntil: (promise: Promise<unknown>) => void): Promise<{ value: T; readAt: number } | null> {
    const now = this.#deps.clock.now();
    // Due again although one is under way: the request that reads may have been ended without a word.
    if (now - this.#triedAt >= this.#options.refreshMs) {
      this.#triedAt = now;
      this.#reading = this.#read();
      waitUntil(this.#reading);
    }
    if (this.#value === null && this.#reading !== null) await this.#withinFirstWait(this.#reading);
    return this.#value;
  }

  /** The runtime cancels a request that waits for another one's work alone: hence a timer of its own. */
  async #withinFirstWait(reading: Promise<void>): Promise<void> {
    const timer = this.#deps.timer(this.#options.firstWaitMs);
    await Promise.race([reading, timer.done]);
    timer.cancel();
  }

  async #read(): Promise<void> {
    const { clock, log, read } = this.#deps;
    const { name } = this.#options;
    try {
      const value = await read();
      this.#value = { value, readAt: clock.now() };
      if (this.#failing) log({ level: "info", message: `${name} can be read again` });
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) log({ level: "warn", message: `${name} cannot be read: ${messageOf(error)}` });
      this.#failing = true;
    } finally {
      this.#reading = null;
    }
  }
}
