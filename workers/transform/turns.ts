/** Waits, or rejects when the signal aborts. */
export type Wait = (ms: number, options?: { signal?: AbortSignal }) => Promise<void>;

/**
 * One batch at a time. Nothing is handed over: whoever is free to run looks for itself, because a request whose client has
 * left is cancelled without a word and could never pass a turn on. First come, first served as long as clients stay.
 */
export class Turns {
  #taken = false;
  #freed = Promise.withResolvers<void>();

  /** Resolves with whether it got the turn within `ms`. The timer also tells the runtime that the request is not hung. */
  async take(ms: number, wait: Wait): Promise<boolean> {
    if (!this.#taken) {
      this.#taken = true;
      return true;
    }
    const abort = new AbortController();
    let late = false;
    const deadline = wait(ms, { signal: abort.signal }).then(
      () => {
        late = true;
      },
      () => undefined,
    );
    while (this.#taken && !late) await Promise.race([this.#freed.promise, deadline]);
    abort.abort();
    if (this.#taken) return false;
    this.#taken = true;
    return true;
  }

  give(): void {
    const freed = this.#freed;
    this.#taken = false;
    this.#freed = Promise.withResolvers();
    freed.resolve();
  }
}
