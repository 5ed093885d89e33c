import type { QuotaConfig } from "../../../shared/config-sources.ts";
import type { Event } from "../../../shared/event.ts";
import type { DailyResource } from "../../../shared/lane-api.ts";
import { appendRun, type Runs } from "../../../shared/runs.ts";

/** What can be over quota by itself: PostHog's names, which are also the last part of its keys in Redis. */
export const RESOURCES = ["events", "exceptions", "recordings", "surveys", "llm_events"] as const;
export type Resource = (typeof RESOURCES)[number];

const QUOTA = "quota:";
/** Why an event over quota is not stored. */
export type QuotaReason = `${typeof QUOTA}${Resource}`;

export function isQuotaReason(reason: string): reason is QuotaReason {
  return reason.startsWith(QUOTA);
}

const RECORDING_EVENTS = new Set(["$snapshot_items", "$snapshot"]);
const SURVEY_EVENTS = new Set(["survey sent", "survey shown", "survey dismissed"]);

/** Each event belongs to one resource: where `events` is over quota, those of the others live on. */
export function resourceOf({ event, properties }: Event): Resource {
  if (event === "$exception") return "exceptions";
  if (RECORDING_EVENTS.has(event)) return "recordings";
  if (event.startsWith("$ai_")) return "llm_events";
  // Product tours speak through surveys' events, and are no surveys.
  if (SURVEY_EVENTS.has(event) && properties.$product_tour_id == null) return "surveys";
  return "events";
}

/** A team's own quota knows fewer: what it has no limit for counts as events. */
export function dailyResourceOf(event: Event): DailyResource {
  const resource = resourceOf(event);
  return resource === "exceptions" || resource === "recordings" ? resource : "events";
}

/** As an append says it. */
export function dailyResources(events: readonly Event[]): Runs<DailyResource> {
  const runs: [DailyResource, number][] = [];
  for (const event of events) appendRun(runs, dailyResourceOf(event), 1);
  return runs;
}

/** Events a day; null without a limit. */
export function dailyLimit(quota: QuotaConfig, resource: DailyResource): number | null {
  return quota[`${resource}_per_day`] ?? null;
}
