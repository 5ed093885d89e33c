import type { RestrictionConfig } from "../../shared/config-sources.ts";
import type { Event } from "../../shared/event.ts";
import type { Rule } from "./rules.ts";

/** A restriction as the hot path asks it; a field that it does not name is absent. */
interface Restriction {
  action: RestrictionConfig["action"];
  /** As the configuration counts it. */
  path: string;
  distinctIds: ReadonlySet<string> | null;
  events: ReadonlySet<string> | null;
  uuids: ReadonlySet<string> | null;
}

/**
 * The team's restrictions as far as they may hold for events of this token; null where none does. A restriction holds where each
 * field that it names holds the event's value. Dropping goes before the quarantine, and what goes there skips persons too if it should.
 */
export function compileRestrictions(restrictions: readonly RestrictionConfig[], token: string): Rule | null {
  const all = restrictions.flatMap((restriction, index): Restriction[] =>
    restriction.tokens === undefined || restriction.tokens.includes(token) ? [compiled(restriction, index)] : [],
  );
  if (all.length === 0) return null;
  const of = (action: RestrictionConfig["action"]) => all.filter((restriction) => restriction.action === action);
  const [drops, deadLetters, skips] = [of("drop"), of("dead_letter"), of("skip_person_processing")];
  return (event) => {
    if (drops.some((restriction) => holds(restriction, event))) return "restricted";
    const deadLetter = deadLetters.find((restriction) => holds(restriction, event));
    if (deadLetter !== undefined) event.quarantine = quarantineText(deadLetter.path);
    if (skips.some((restriction) => holds(restriction, event))) event.properties.$process_person_profile = false;
    return null;
  };
}

function compiled({ action, distinct_ids, events, uuids }: RestrictionConfig, index: number): Restriction {
  return {
    action,
    path: `restrictions[${index}]`,
    distinctIds: setOf(distinct_ids),
    events: setOf(events),
    uuids: setOf(uuids?.map((uuid) => uuid.toLowerCase())),
  };
}

function setOf(values: readonly string[] | undefined): ReadonlySet<string> | null {
  return values === undefined ? null : new Set(values);
}

function holds({ distinctIds, events, uuids }: Restriction, event: Event): boolean {
  return (
    (distinctIds === null || distinctIds.has(event.distinct_id)) &&
    (events === null || events.has(event.event)) &&
    (uuids === null || uuids.has(event.uuid))
  );
}

function quarantineText(path: string): string {
  return `a restriction of the team sends this event to the quarantine: ${path}`;
}
