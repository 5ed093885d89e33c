import type { Timers } from "./timers.ts";

/** What is dear to open: a connection. */
export interface Closable {
  /** Never throws. */
  close(): void;
}

interface Held {
  name: string;
  thing: Closable;
  users: number;
  cancelIdle: () => void;
}

/**
 * Keeps one thing open between the sends of one destination, and closes it when another one is asked for or nobody has used it for a
 * while: an open connection keeps its object in memory, which is billed.
 */
export class Kept {
  readonly #timers: Timers;
  readonly #idleMs: number;
  #held: Held | null = null;

  constructor(timers: Timers, idleMs: number) {
    this.#timers = timers;
    this.#idleMs = idleMs;
  }

  /** Runs `work` with the thing of that name, which is opened unless it is the one that is held. The name says how it was opened. */
  async use<Thing extends Closable, Result>(
    name: string,
    open: () => Thing,
    work: (thing: Thing) => Promise<Result>,
  ): Promise<Result> {
    const held = this.#hold(name, open);
    held.cancelIdle();
    held.users++;
    try {
      return await work(held.thing as Thing);
    } finally {
      held.users--;
      if (held.users === 0) held.cancelIdle = this.#timers.after(this.#idleMs, () => this.#drop(held));
    }
  }

  #hold(name: string, open: () => Closable): Held {
    if (this.#held?.name === name) return this.#held;
    if (this.#held !== null) this.#drop(this.#held);
    this.#held = { name, thing: open(), users: 0, cancelIdle: () => {} };
    return this.#held;
  }

  #drop(held: Held): void {
    held.cancelIdle();
    held.thing.close();
    if (this.#held === held) this.#held = null;
  }
}
