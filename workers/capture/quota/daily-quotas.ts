import type { Clock } from "../../../shared/clock.ts";
import type { QuotaConfig } from "../../../shared/config-sources.ts";
import type { DailyResource, DailyUsage } from "../../../shared/lane-api.ts";
import type { Timer } from "../../../shared/timer.ts";
import { utcDay } from "../../../shared/utc-day.ts";
import { Refreshed } from "./refreshed.ts";
import { dailyLimit } from "./resource.ts";
import { UnderWay } from "./under-way.ts";

export interface DailyQuotasDeps {
  /** What a lane has counted. */
  usage(lane: string): Promise<DailyUsage>;
  clock: Clock;
  timer(ms: number): Timer;
  log(record: { level: "warn" | "info"; message: string; lane: string }): void;
}

export interface DailyQuotasOptions {
  /** How often the lane is asked what other isolates have sent it meanwhile: refused traffic costs it this and nothing more. */
  refreshMs: number;
  /** A lane is asked before the first events go there; one that does not answer lets them in. */
  firstWaitMs: number;
}

export const DEFAULT_DAILY_QUOTAS: DailyQuotasOptions = { refreshMs: 5_000, firstWaitMs: 500 };

/** One request's way past a lane's quotas. */
export interface Gate {
  /** Whether there is quota for one more event; a yes takes it. */
  take(resource: DailyResource): boolean;
  /** The events are counted by now, or will not be: what was taken for them is given back. */
  settle(): void;
}

/** What an isolate knows of a lane. */
interface Known {
  usage: Refreshed<void>;
  day: number;
  /** What the lane has said last that it has counted today. */
  counted: Partial<Record<DailyResource, number>>;
  underWay: UnderWay;
}

/**
 * The team's own quota. The lanes count, each for itself; an isolate adds what it has under way to what it has last heard, and so
 * refuses without asking. Decision 0008 has the rule and its error.
 */
export class DailyQuotas {
  readonly #deps: DailyQuotasDeps;
  readonly #options: DailyQuotasOptions;
  readonly #lanes = new Map<string, Known>();
  #day = 0;

  constructor(deps: DailyQuotasDeps, options: DailyQuotasOptions = DEFAULT_DAILY_QUOTAS) {
    this.#deps = deps;
    this.#options = options;
  }

  /** @param lanes of the team in the lane's region: each has its share */
  async gate(
    lane: string,
    lanes: number,
    quota: QuotaConfig,
    waitUntil: (promise: Promise<unknown>) => void,
  ): Promise<Gate> {
    const known = this.#known(lane);
    await known.usage.get(waitUntil);
    this.#turnDay(known);
    const taken: (() => void)[] = [];
    return {
      take: (resource) => {
        const limit = dailyLimit(quota, resource);
        if (limit === null) return true;
        if ((known.counted[resource] ?? 0) + known.underWay.of(resource) >= Math.ceil(limit / lanes)) return false;
        taken.push(known.underWay.add(resource));
        return true;
      },
      settle: () => {
        for (const giveBack of taken.splice(0)) giveBack();
      },
    };
  }

  /** A lane has said what it has counted. */
  learn(lane: string, { day, counts }: DailyUsage): void {
    const known = this.#lanes.get(lane);
    if (known === undefined) return;
    this.#turnDay(known);
    if (day !== known.day) return;
    for (const [resource, count] of Object.entries(counts) as [DailyResource, number][]) {
      // Answers may overtake each other.
      known.counted[resource] = Math.max(known.counted[resource] ?? 0, count);
    }
  }

  #known(lane: string): Known {
    this.#forgetOldDays();
    const existing = this.#lanes.get(lane);
    if (existing !== undefined) return existing;
    const { usage, clock, timer, log } = this.#deps;
    const deps = {
      read: async () => this.learn(lane, await usage(lane)),
      clock,
      timer,
      log: (record: { level: "warn" | "info"; message: string }) => log({ ...record, lane }),
    };
    const known: Known = {
      usage: new Refreshed(deps, { name: "the lane's count of the day", ...this.#options }),
      day: utcDay(clock.now()),
      counted: {},
      underWay: new UnderWay(clock),
    };
    this.#lanes.set(lane, known);
    return known;
  }

  #turnDay(known: Known): void {
    const today = utcDay(this.#deps.clock.now());
    if (known.day === today) return;
    known.day = today;
    known.counted = {};
  }

  /** Lanes that nothing has come for since yesterday are known no more. */
  #forgetOldDays(): void {
    const today = utcDay(this.#deps.clock.now());
    if (this.#day === today) return;
    this.#day = today;
    for (const [lane, known] of this.#lanes) if (known.day < today - 1) this.#lanes.delete(lane);
  }
}
