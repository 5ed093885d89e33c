import type { Clock } from "../../shared/clock.ts";

/** Waits, or rejects when the signal aborts. */
export type Wait = (ms: number, options?: { signal?: AbortSignal }) => Promise<void>;

export interface TurnsOptions {
  clock: Clock;
  wait: Wait;
}

/** A request that waits holds a timer of its own, or the runtime takes it for hung; this often it also looks for itself. */
const LOOK_EVERY_MS = 50;
/** Whoever has been offered a free turn for this long and has not come has gone. */
const OFFER_MS = 200;

interface Ticket {
  wake(): void;
}

/**
 * One batch at a time, first come, first served.
 *
 * Two things that the runtime imposes: a request whose client has left is cancelled without a word, so a turn is offered, never
 * handed over, and those behind see to it that an offer that is not taken goes on; and a promise belongs to the request that
 * made it, so each waiting request makes its own.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #wait: Wait;
  readonly #queue: Ticket[] = [];
  #taken = false;
  #offeredAt = 0;

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
    const ticket: Ticket = { wake: () => undefined };
    this.#queue.push(ticket);
    while (this.#clock.now() < deadline) {
      await this.#look(ticket);
      if (!this.#queue.includes(ticket)) this.#queue.push(ticket);
      if (this.#taken) continue;
      if (this.#queue[0] !== ticket && this.#clock.now() - this.#offeredAt > OFFER_MS) {
        this.#queue.shift();
        this.#offer();
      }
      if (this.#queue[0] === ticket) {
        this.#queue.shift();
        this.#taken = true;
        return true;
      }
    }
    this.#leave(ticket);
    return false;
  }

  give(): void {
    this.#taken = false;
    this.#offer();
  }

  #offer(): void {
    this.#offeredAt = this.#clock.now();
    this.#queue[0]?.wake();
  }

  /** Until it is woken, or for a while. */
  async #look(ticket: Ticket): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    ticket.wake = resolve;
    const abort = new AbortController();
    const timer = this.#wait(LOOK_EVERY_MS, { signal: abort.signal }).catch(() => undefined);
    await Promise.race([promise, timer]);
    abort.abort();
  }

  #leave(ticket: Ticket): void {
    const position = this.#queue.indexOf(ticket);
    if (position === -1) return;
    this.#queue.splice(position, 1);
    if (position === 0 && !this.#taken) this.#offer();
  }
}
