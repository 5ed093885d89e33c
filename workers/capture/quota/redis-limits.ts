import type { Clock } from "../../../shared/clock.ts";
import type { Timer } from "../../../shared/timer.ts";
import { Refreshed } from "./refreshed.ts";
import { RESOURCES, type Resource } from "./resource.ts";

/** PostHog's: billing writes a token there until the time of its score, in seconds since the epoch. */
const KEY_PREFIX = "@posthog/quota-limits/";

export interface RedisLimitsDeps {
  /** Members and scores of sorted sets, from the score `min` on, a list for each key. */
  scored(keys: readonly string[], min: number): Promise<(readonly [member: string, score: number])[][]>;
  clock: Clock;
  timer(ms: number): Timer;
  log(record: { level: "warn" | "info"; message: string }): void;
}

export interface RedisLimitsOptions {
  /** How late a limit may take effect, or end, after it was written: beside a day's quota, nothing. */
  refreshMs: number;
  /** What the first requests of an isolate may be held up by; then they are let in. */
  firstWaitMs: number;
  /** How long limits outlive a Redis that is not there. PostHog's own bound for what it keeps in Redis. */
  keepMs: number;
}

export const DEFAULT_REDIS_LIMITS: RedisLimitsOptions = { refreshMs: 5_000, firstWaitMs: 200, keepMs: 300_000 };

const NONE: ReadonlySet<Resource> = new Set();

/** Which tokens are over quota, as PostHog's billing has it in Redis. Without Redis nobody is. */
export class RedisLimits {
  readonly #limits: Refreshed<Map<string, Map<Resource, number>>>;
  readonly #clock: Clock;
  readonly #keepMs: number;

  constructor(deps: RedisLimitsDeps, options: RedisLimitsOptions = DEFAULT_REDIS_LIMITS) {
    const { clock, timer, log } = deps;
    this.#clock = clock;
    this.#keepMs = options.keepMs;
    this.#limits = new Refreshed(
      { read: () => readLimits(deps), clock, timer, log },
      { name: "quotas in Redis", ...options },
    );
  }

  /** What the token has no quota left of. */
  async of(token: string, waitUntil: (promise: Promise<unknown>) => void): Promise<ReadonlySet<Resource>> {
    const known = await this.#limits.get(waitUntil);
    const now = this.#clock.now();
    const ends = known !== null && now - known.readAt <= this.#keepMs ? known.value.get(token) : undefined;
    if (ends === undefined) return NONE;
    return new Set([...ends].filter(([, endsAt]) => endsAt > now).map(([resource]) => resource));
  }
}

async function readLimits({ scored, clock }: RedisLimitsDeps): Promise<Map<string, Map<Resource, number>>> {
  const lists = await scored(
    RESOURCES.map((resource) => KEY_PREFIX + resource),
    Math.floor(clock.now() / 1000),
  );
  const limits = new Map<string, Map<Resource, number>>();
  for (const [index, resource] of RESOURCES.entries()) {
    for (const [token, endsS] of lists[index] ?? []) {
      const ends = limits.get(token) ?? new Map<Resource, number>();
      limits.set(token, ends.set(resource, endsS * 1000));
    }
  }
  return limits;
}
