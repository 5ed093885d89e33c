import type { Clock } from "../../shared/clock.ts";

/** Waits, or rejects when the signal aborts. */
export type Wait = (ms: number, options?: { signal?: AbortSignal }) => Promise<void>;

export interface TurnsOptions {
  clock: Clock;
  wait: Wait;
}

/** The next in line looks this often whether its turn has come, those behind it less often. */
const NEXT_LOOKS_EVERY_MS = 1;
const OTHERS_LOOK_EVERY_MS = 10;
/** Whoever could have had a free turn for this long and has not come has gone. */
const GONE_AFTER_MS = 200;

/**
 * One batch at a time, first come, first served.
 *
 * Requests do not wake each other: a promise that another request resolves would go on in that request's name, and a request
 * whose client has left is cancelled without a word and would never pass its turn on. So each looks for itself, by timers
 * of its own, and those behind see to it that a turn that is not taken goes to the next.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #wait: Wait;
  readonly #queue: symbol[] = [];
  #taken = false;
  /** Since when the turn has been free for the first in line. */
  #freeSince = 0;

  constructor({ clock, wait }: TurnsOptions) {
    this.#clock = clock;
    this.#wait = wait;
  }

  /** Resolves with whether it got the turn within `ms`. */
  async take(ms: number): Promise<boolean> {
    if (!this.#taken && this.#queue.length === 0) {
      this.#taken = true;
      return true;
    }
    const deadline = this.#clock.now() + ms;
    const ticket = Symbol("ticket");
    this.#queue.push(ticket);
    while (this.#clock.now() < deadline) {
      await this.#wait(this.#queue[0] === ticket ? NEXT_LOOKS_EVERY_MS : OTHERS_LOOK_EVERY_MS);
      if (!this.#queue.includes(ticket)) this.#queue.push(ticket);
      if (this.#taken) continue;
      if (this.#queue[0] === ticket) {
        this.#queue.shift();
        this.#taken = true;
        return true;
      }
      if (this.#clock.now() - this.#freeSince > GONE_AFTER_MS) this.#skipFirst();
    }
    const position = this.#queue.indexOf(ticket);
    if (position !== -1) this.#queue.splice(position, 1);
    return false;
  }

  give(): void {
    this.#taken = false;
    this.#freeSince = this.#clock.now();
  }

  #skipFirst(): void {
    this.#queue.shift();
    this.#freeSince = this.#clock.now();
  }
}
