import type { Held, OutboxStore, Totals } from "./outbox-store.ts";

/** What a transaction changes, as differences. */
export type Change = Totals & Held;

/**
 * The books in memory: read from the rows once, then moved along with every commit, so that nobody counts a million rows to learn
 * how many there are. A transaction that rolls back leaves them alone.
 */
export class Ledger {
  readonly #store: OutboxStore;
  readonly totals: Totals;
  readonly held: Held;

  constructor(store: OutboxStore) {
    this.#store = store;
    this.totals = store.totals();
    this.held = store.held();
  }

  /** Runs `body` in a transaction; the differences that it writes into its argument go into the stored book and into memory. */
  commit<T>(body: (change: Change) => T): T {
    const change = noChange();
    const result = this.#store.transaction(() => {
      const value = body(change);
      this.#store.addTotals(change);
      return value;
    });
    for (const key of keysOf(this.totals)) this.totals[key] += change[key];
    for (const key of keysOf(this.held)) this.held[key] += change[key];
    return result;
  }
}

function keysOf<T extends object>(value: T): (keyof T)[] {
  return Object.keys(value) as (keyof T)[];
}

function noChange(): Change {
  return {
    ...{ accepted: 0, emitted: 0, delivered: 0, filtered: 0, dropped: 0, expired: 0, attempts: 0 },
    ...{ replayed: 0, discarded: 0, moved: 0 },
    ...{ fresh: 0, freshBytes: 0, retrying: 0, retryBytes: 0, retryRows: 0, dead: 0, deadBytes: 0 },
  };
}
