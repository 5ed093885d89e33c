import type { FakeClock } from "../../../shared/testing/fake-clock.ts";
import type { Timers } from "../timers.ts";

/** Timers that run when their clock is moved, in the order of their times. */
export class FakeTimers implements Timers {
  readonly #clock: FakeClock;
  #next = 0;
  readonly #pending = new Map<number, { at: number; callback: () => void }>();

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  after(ms: number, callback: () => void): () => void {
    const id = this.#next++;
    this.#pending.set(id, { at: this.#clock.now() + ms, callback });
    return () => this.#pending.delete(id);
  }

  /** Moves the clock by `ms`, stopping at every timer on the way; promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#clock.now() + ms;
    await settled();
    for (;;) {
      const due = [...this.#pending]
        .filter(([, { at }]) => at <= end)
        .sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (due === undefined) break;
      const [id, { at, callback }] = due;
      this.#pending.delete(id);
      this.#clock.advance(Math.max(0, at - this.#clock.now()));
      callback();
      await settled();
    }
    this.#clock.advance(end - this.#clock.now());
  }

  /** The process has died. */
  clear(): void {
    this.#pending.clear();
  }
}

/** After every promise that could settle by itself has done so: a macrotask comes behind all of them. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
