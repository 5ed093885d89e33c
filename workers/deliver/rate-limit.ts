/** What a destination may be sent in a second; absent: as much as it takes. */
export interface RateLimit {
  requests_per_second?: number | undefined;
  events_per_second?: number | undefined;
}

/**
 * Paces the requests of one destination: two token buckets that hold one second's worth. A request starts once there is a token of
 * each kind and takes all that it needs, if that is more than there is out of the future. So over any longer time the rates are kept
 * exactly, whatever the sizes of requests. After a start there is one token of each: the first request goes at once, and a process
 * that starts again and again sends no bursts.
 */
export class RateLimiter {
  #limit: RateLimit = {};
  #requests: Bucket | null = null;
  #events: Bucket | null = null;

  /** Changed limits begin anew; the same ones change nothing. */
  set(limit: RateLimit, now: number): void {
    const { requests_per_second: requests, events_per_second: events } = limit;
    if (requests !== this.#limit.requests_per_second) this.#requests = bucketOf(requests, now);
    if (events !== this.#limit.events_per_second) this.#events = bucketOf(events, now);
    this.#limit = limit;
  }

  /** How many events a request should hold at most, so that one request is no burst of many seconds. */
  get maxEvents(): number {
    const { events_per_second: events } = this.#limit;
    return events === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(events));
  }

  /** When the next request may start; null: now. */
  until(now: number): number | null {
    const waits = [this.#requests, this.#events].map((bucket) => (bucket === null ? 0 : waitMs(bucket, now)));
    const wait = Math.max(...waits);
    return wait > 0 ? now + wait : null;
  }

  /** A request of so many events starts. */
  take(events: number, now: number): void {
    if (this.#requests !== null) this.#requests = without(this.#requests, 1, now);
    if (this.#events !== null) this.#events = without(this.#events, events, now);
  }
}

const SECOND_MS = 1_000;
/** Far below what any rate makes of a millisecond. */
const ROUNDING = 1e-9;

interface Bucket {
  perSecond: number;
  /** At `at`; below zero where a request took more than there was. */
  level: number;
  at: number;
}

function bucketOf(perSecond: number | undefined, now: number): Bucket | null {
  return perSecond === undefined ? null : { perSecond, level: 1, at: now };
}

function levelAt({ perSecond, level, at }: Bucket, now: number): number {
  return Math.min(Math.max(1, perSecond), level + (Math.max(0, now - at) * perSecond) / SECOND_MS);
}

function without(bucket: Bucket, tokens: number, now: number): Bucket {
  return { ...bucket, level: levelAt(bucket, now) - tokens, at: Math.max(bucket.at, now) };
}

/** Until there is a whole token. */
function waitMs(bucket: Bucket, now: number): number {
  const missing = 1 - levelAt(bucket, now);
  // What is missing to a whole token after its exact time is rounding.
  return missing <= ROUNDING ? 0 : Math.ceil((missing * SECOND_MS) / bucket.perSecond);
}
