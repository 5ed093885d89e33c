/**
 * The quota step of a request: which of its events may be stored. Two sources of limits, each of them optional: PostHog's, by token,
 * in Redis; and the team's own, by the day, counted by its lanes. An event has to pass both.
 *
 * It fails open: a limit that cannot be read holds nobody up.
 */
import type { QuotaConfig } from "../../../shared/config-sources.ts";
import type { Event } from "../../../shared/event.ts";
import type { Target } from "../accept.ts";
import { laneName } from "../lane-name.ts";
import type { DailyQuotas, Gate } from "./daily-quotas.ts";
import type { RedisLimits } from "./redis-limits.ts";
import { dailyResourceOf, type QuotaReason, resourceOf } from "./resource.ts";

export interface QuotaDeps {
  /** Null without Redis. */
  redis: Pick<RedisLimits, "of"> | null;
  daily: Pick<DailyQuotas, "gate">;
  /** Of the current request. */
  waitUntil(promise: Promise<unknown>): void;
}

export interface QuotaVerdict {
  /** What is over quota. */
  refused: ReadonlyMap<Event, QuotaReason>;
  /** To be called once the other events are stored, or have failed to be. */
  settle(): void;
}

const PASSED: QuotaVerdict = { refused: new Map(), settle: () => {} };

/** Never throws. */
export async function quotaVerdict(target: Target, events: readonly Event[], deps: QuotaDeps): Promise<QuotaVerdict> {
  const limited = await deps.redis?.of(target.token, deps.waitUntil);
  const isLimited = limited !== undefined && limited.size > 0;
  if (!isLimited && target.quota === undefined) return PASSED;
  const refused = new Map<Event, QuotaReason>();
  const rest: Event[] = [];
  for (const event of events) {
    const resource = resourceOf(event);
    if (isLimited && limited.has(resource)) refused.set(event, `quota:${resource}`);
    else rest.push(event);
  }
  if (target.quota === undefined || target.team === null) return { ...PASSED, refused };
  const gates = await gatesOf(target, target.team, target.quota, rest, deps);
  for (const event of rest) {
    const resource = dailyResourceOf(event);
    const gate = gates.get(laneOf(target, target.team, event)) as Gate;
    if (!gate.take(resource)) refused.set(event, `quota:${resource}`);
  }
  const settle = () => {
    for (const gate of gates.values()) gate.settle();
  };
  return { refused, settle };
}

function laneOf({ region, lanes }: Target, team: string, event: Event): string {
  return laneName(team, region, lanes, event.distinct_id);
}

/** By lane; all are asked at once. */
async function gatesOf(
  target: Target,
  team: string,
  quota: QuotaConfig,
  events: readonly Event[],
  { daily, waitUntil }: QuotaDeps,
): Promise<Map<string, Gate>> {
  const lanes = [...new Set(events.map((event) => laneOf(target, team, event)))];
  const gate = (lane: string) => daily.gate(lane, target.lanes, quota, waitUntil);
  return new Map(await Promise.all(lanes.map(async (lane): Promise<[string, Gate]> => [lane, await gate(lane)])));
}
