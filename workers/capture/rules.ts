import type { RestrictionConfig } from "../../shared/config-sources.ts";
import type { Event } from "../../shared/event.ts";
import type { Refused } from "../../shared/lane-api.ts";
import type { QuotaReason } from "./quota/resource.ts";
import type { Resolution } from "./resolution.ts";
import { compileRestrictions } from "./restrictions.ts";
import { compileSource } from "./source-rules.ts";

/** Why an event that is answered as taken is not stored. */
export type Reason = "source_disabled" | "event_not_allowed" | "sampled_out" | "restricted" | "duplicate" | QuotaReason;

export interface Ruled {
  /** Those that are kept, in the order of the request. */
  events: Event[];
  /** The others. */
  refused: ReadonlyMap<Event, Reason>;
}

/** What a source or a restriction makes of an event: why it goes, or null; may change it in place. */
export type Rule = (event: Event) => Reason | null;

const NOTHING: ReadonlyMap<Event, Reason> = new Map();

/**
 * What the source of a token and the restrictions of its team make of the events of a request. Kept events may be changed in place;
 * where nothing rules, the list is handed back as it is.
 */
export function applyRules(events: Event[], resolution: Resolution, token: string): Ruled {
  const rules = rulesOf(resolution, token);
  if (rules.length === 0) return { events, refused: NOTHING };
  const kept: Event[] = [];
  const refused = new Map<Event, Reason>();
  for (const event of events) {
    const reason = firstReason(rules, event);
    if (reason === null) kept.push(event);
    else refused.set(event, reason);
  }
  return { events: kept, refused };
}

function firstReason(rules: readonly Rule[], event: Event): Reason | null {
  for (const rule of rules) {
    const reason = rule(event);
    if (reason !== null) return reason;
  }
  return null;
}

/** As the lane counts them. */
export function countRefused(refused: ReadonlyMap<Event, Reason>): Refused {
  const counts: Refused = {};
  for (const [{ source }, reason] of refused) {
    counts[source] ??= {};
    const ofSource = counts[source];
    ofSource[reason] = (ofSource[reason] ?? 0) + 1;
  }
  return counts;
}

interface Compiled {
  token: string;
  rules: readonly Rule[];
}

/** A reader hands out one object for a token until its configuration has changed: it is compiled once, and goes with it. */
const compiled = new WeakMap<Resolution, Compiled>();

function rulesOf(resolution: Resolution, token: string): readonly Rule[] {
  const known = compiled.get(resolution);
  if (known?.token === token) return known.rules;
  const rules = [...sourceRules(resolution), ...restrictionRules(resolution.restrictions, token)];
  compiled.set(resolution, { token, rules });
  return rules;
}

function sourceRules({ source }: Resolution): Rule[] {
  return source === undefined ? [] : [compileSource(source)];
}

function restrictionRules(restrictions: readonly RestrictionConfig[] | undefined, token: string): Rule[] {
  const rule = compileRestrictions(restrictions ?? [], token);
  return rule === null ? [] : [rule];
}
