import type { Clock } from "../../shared/clock.ts";
import { Lru } from "./lru.ts";

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

/** More bundles than have batches at the same time. */
const KNOWN_BUNDLES_COUNT = 4_096;
/** What the first batch of a bundle is taken to cost: bundles that are known to cost little go before those that nobody knows. */
const UNKNOWN_COST_MS = 100;

interface Ticket {
  bundle: string;
  /** When it starts, in the time of those that wait: each bundle's own turns follow each other there at the distance of what they cost. */
  start: number;
}

/**
 * One batch at a time, by start-time fair queueing: whoever has used less goes first, so that a bundle whose batches are short waits
 * for the one that runs, however many others have batches that are long. Among equals it is first come, first served.
 *
 * Requests do not wake each other: a promise that another request resolves would go on in that request's name, and a request
 * whose client has left is cancelled without a word and would never pass its turn on. So each looks for itself, by timers
 * of its own, and those behind see to it that a turn that is not taken goes to the next.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #wait: Wait;
  readonly #queue: Ticket[] = [];
  /** When the next batch of a bundle may start, by what its last one has cost. */
  readonly #next = new Lru<number>(KNOWN_BUNDLES_COUNT);
  /** Start of the one that runs, or ran last. */
  #now = 0;
  #turn: (Ticket & { since: number }) | null = null;
  /** Since when the turn has been free for the first in line. */
  #freeSince = 0;

  constructor({ clock, wait }: TurnsOptions) {
    this.#clock = clock;
    this.#wait = wait;
  }

  /** Resolves with whether it got the turn within `ms`. */
  async take(bundle: string, ms: number): Promise<boolean> {
    const ticket = { bundle, start: Math.max(this.#now, this.#next.get(bundle) ?? this.#now + UNKNOWN_COST_MS) };
    this.#next.set(bundle, ticket.start);
    if (this.#turn === null && this.#queue.length === 0) {
      this.#begin(ticket);
      return true;
    }
    const deadline = this.#clock.now() + ms;
    this.#enqueue(ticket);
    while (this.#clock.now() < deadline) {
      await this.#wait(this.#queue[0] === ticket ? NEXT_LOOKS_EVERY_MS : OTHERS_LOOK_EVERY_MS);
      if (!this.#queue.includes(ticket)) this.#enqueue(ticket);
      if (this.#turn !== null) continue;
      if (this.#queue[0] === ticket) {
        this.#queue.shift();
        this.#begin(ticket);
        return true;
      }
      if (this.#clock.now() - this.#freeSince > GONE_AFTER_MS) this.#skipFirst();
    }
    const position = this.#queue.indexOf(ticket);
    if (position !== -1) this.#queue.splice(position, 1);
    return false;
  }

  give(): void {
    const now = this.#clock.now();
    if (this.#turn !== null) {
      const { bundle, start, since } = this.#turn;
      this.#next.set(bundle, Math.max(this.#next.get(bundle) ?? 0, start + now - since));
    }
    this.#turn = null;
    this.#freeSince = now;
  }

  #begin(ticket: Ticket): void {
    this.#turn = { ...ticket, since: this.#clock.now() };
    this.#now = ticket.start;
  }

  #enqueue(ticket: Ticket): void {
    const position = this.#queue.findIndex(({ start }) => start > ticket.start);
    this.#queue.splice(position === -1 ? this.#queue.length : position, 0, ticket);
  }

  #skipFirst(): void {
    this.#queue.shift();
    this.#freeSince = this.#clock.now();
  }
}
