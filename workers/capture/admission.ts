/**
 * Fair shares of one thread: ingest must not starve the pump (decision 0003).
 *
 * While the pump is at most `freeEvents` behind, appends pass at once. Beyond that they wait in line, and each batch that the pump
 * gets through lets as many events pass as it moved: what is accepted and what is processed go in lockstep, the backlog stays where
 * it is, and the delay from answer to delivery is bounded by it. A pump that stands still (its sandbox restarts, say) holds nobody
 * up: durability is the lane's promise, speed is not.
 */
export interface AdmissionLimits {
  /** Events that may wait before appends do: a burst of this size is accepted at full speed. */
  freeEvents: number;
  /** No append waits longer, whatever the backlog: a client's patience is worth more than fairness. */
  maxWaitMs: number;
}

export const DEFAULT_ADMISSION_LIMITS: AdmissionLimits = { freeEvents: 5_000, maxWaitMs: 1_000 };

export interface AdmissionDeps {
  /** Events that the pump has not moved yet. */
  backlog(): number;
  /** False while the pump waits for something that is down. */
  pumping(): boolean;
  timer(ms: number): { done: Promise<void>; cancel(): void };
}

interface Waiting {
  events: number;
  admit(): void;
}

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #limits: AdmissionLimits;
  #line: Waiting[] = [];
  /** What the pump has moved and nobody has used yet; below zero after an append larger than a batch. */
  #credit = 0;

  constructor(deps: AdmissionDeps, limits: AdmissionLimits = DEFAULT_ADMISSION_LIMITS) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /** Resolves when an append of this many events may be stored. Never rejects. */
  async admit(events: number): Promise<void> {
    if (this.#line.length === 0 && this.#isFree()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting: Waiting = { events, admit: resolve };
    this.#line.push(waiting);
    const guard = this.#deps.timer(this.#limits.maxWaitMs);
    await Promise.race([promise, guard.done]);
    guard.cancel();
    const at = this.#line.indexOf(waiting);
    if (at !== -1) this.#line.splice(at, 1);
  }

  /** The pump has moved this many events, or has met trouble (0). */
  progressed(events: number): void {
    // Credit is for those who wait now: an idle pump saves nothing up.
    this.#credit = Math.min(this.#credit + events, this.#limits.freeEvents);
    while (this.#line.length > 0 && (this.#credit > 0 || this.#isFree())) {
      const next = this.#line.shift() as Waiting;
      this.#credit -= next.events;
      next.admit();
    }
    if (this.#line.length === 0) this.#credit = 0;
  }

  #isFree(): boolean {
    return this.#deps.backlog() <= this.#limits.freeEvents || !this.#deps.pumping();
  }
}
