/**
 * What capture answers as taken and does not store is counted here until a lane hears of it (invariant 5): with the next append of the
 * lane, which is a commit that happens anyway, or on its own once it has waited long enough.
 *
 * An isolate that dies takes its last counts with it, at most those of one wait. Where the answer to an append is lost its counts are
 * told again: they may then be too high, never too low.
 */
import type { Clock } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";
import type { LaneAppend, LaneAppended, Refused } from "../../shared/lane-api.ts";
import { addRefused } from "../../shared/refused.ts";
import type { Timer } from "../../shared/timer.ts";

export interface RefusedCountsDeps {
  append(append: LaneAppend): Promise<LaneAppended>;
  /** The current request's own timer. */
  timer(ms: number): Timer;
  clock: Clock;
  log(record: { level: "warn"; event: "counts_not_told"; lane: string; events: number; error: string }): void;
}

export interface RefusedCountsLimits {
  /** How long counts wait for an append to go with: below the 30 s for which the runtime keeps a request alive after its answer. */
  waitMs: number;
  /** This many events wait for nothing. */
  waitCount: number;
}

export const DEFAULT_REFUSED_COUNTS_LIMITS: RefusedCountsLimits = { waitMs: 10_000, waitCount: 1_000 };

interface Waiting {
  counts: Refused;
  events: number;
  /** When a request began to wait with them, in order to tell the lane. */
  since: number;
}

const NOTHING = new Uint8Array(0);

export class RefusedCounts {
  readonly #deps: RefusedCountsDeps;
  readonly #limits: RefusedCountsLimits;
  readonly #waiting = new Map<string, Waiting>();

  constructor(deps: RefusedCountsDeps, limits: RefusedCountsLimits = DEFAULT_REFUSED_COUNTS_LIMITS) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /** @param waitUntil of the current request */
  count(lane: string, counts: Refused, waitUntil: (promise: Promise<unknown>) => void): void {
    const waiting = this.#add(lane, counts);
    if (waiting.events >= this.#limits.waitCount) waitUntil(this.#tell(lane));
    else if (this.#isAlone(waiting)) {
      waiting.since = this.#deps.clock.now();
      waitUntil(this.#deps.timer(this.#limits.waitMs).done.then(() => this.#tell(lane)));
    }
  }

  /** Appends with what waits for the lane. Throws what the append throws; the counts then wait on. */
  async append(append: LaneAppend): Promise<LaneAppended> {
    const waiting = this.#waiting.get(append.lane);
    if (waiting === undefined) return this.#deps.append(append);
    this.#waiting.delete(append.lane);
    try {
      return await this.#deps.append({ ...append, refused: waiting.counts });
    } catch (error) {
      this.#add(append.lane, waiting.counts);
      throw error;
    }
  }

  #add(lane: string, counts: Refused): Waiting {
    const waiting = this.#waiting.get(lane) ?? { counts: {}, events: 0, since: Number.NEGATIVE_INFINITY };
    waiting.events += addRefused(waiting.counts, counts);
    this.#waiting.set(lane, waiting);
    return waiting;
  }

  /** The runtime may end a request that waits without a word: after twice its time somebody else takes over. */
  #isAlone({ since }: Waiting): boolean {
    return this.#deps.clock.now() - since > 2 * this.#limits.waitMs;
  }

  /** Never rejects. */
  async #tell(lane: string): Promise<void> {
    const events = this.#waiting.get(lane)?.events ?? 0;
    if (events === 0) return;
    try {
      await this.append({ lane, events: NOTHING, uuids: NOTHING, tokens: [] });
    } catch (error) {
      this.#deps.log({ level: "warn", event: "counts_not_told", lane, events, error: messageOf(error) });
    }
  }
}
