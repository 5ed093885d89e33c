/**
 * Events as PostHog's plugin server gives them to plugins, and back. Plugins find the client's address as `ip` and as
 * `properties.$ip`, and what is set on the person in `properties.$set` too; on the way back a change in either place counts.
 * An event that a plugin leaves alone comes back byte for byte.
 */
import type { Event } from "../../../../../shared/event.ts";
import { has, isObject, type JsonObject } from "./json.ts";

export interface PluginEvent {
  uuid: string;
  event: string;
  distinct_id: string;
  team_id: string;
  ip: string | null;
  site_url: string;
  timestamp: string;
  /** When it was accepted. */
  now: string;
  sent_at?: string;
  properties: JsonObject;
  $set?: JsonObject;
  $set_once?: JsonObject;
}

const PERSON_FIELDS = ["$set", "$set_once"] as const;

/** Shares only nested values with the event. */
export function pluginEventOf(event: Event, team: string): PluginEvent {
  const properties = { ...event.properties };
  const given: PluginEvent = {
    uuid: event.uuid,
    event: event.event,
    distinct_id: event.distinct_id,
    team_id: team,
    ip: addressOf(event),
    site_url: "",
    timestamp: event.timestamp,
    now: event.received_at,
    properties,
  };
  if (event.sent_at !== undefined) given.sent_at = event.sent_at;
  if (!has(properties, "$ip") && event.ip !== null) properties.$ip = event.ip;
  for (const field of PERSON_FIELDS) {
    const own = event[field];
    if (own === undefined) continue;
    given[field] = { ...own };
    properties[field] = { ...objectAt(properties, field), ...own };
  }
  return given;
}

/** What a plugin made of the event. Throws where `properties` is no object. */
export function eventFrom(returned: PluginEvent, event: Event): Event {
  const { properties: own = {} } = returned as { properties?: unknown };
  if (!isObject(own)) throw new TypeError('returned an event whose "properties" is not an object');
  const properties = { ...own };
  const { timestamp } = returned as { timestamp?: unknown };
  const result: Event = {
    ...event,
    event: returned.event,
    distinct_id: returned.distinct_id,
    timestamp: timestamp === undefined ? event.timestamp : asText(timestamp),
    properties,
  };
  result.ip = addressFrom(returned, properties, event);
  for (const field of PERSON_FIELDS) putPerson(field, returned, properties, result, event);
  return result;
}

function addressOf(event: Event): string | null {
  const { $ip } = event.properties;
  return typeof $ip === "string" ? $ip : event.ip;
}

/** The client's address after the plugin; takes `$ip` away again where only the mapping had put it there. */
function addressFrom(returned: PluginEvent, properties: JsonObject, event: Event): string | null {
  const isOurs = !has(event.properties, "$ip");
  const before = isOurs ? event.ip : event.properties.$ip;
  const after = properties.$ip;
  const isIpChanged = returned.ip !== addressOf(event);
  const asField = returned.ip ?? null;
  if (isOurs) delete properties.$ip;
  if ((after ?? null) === (before ?? null)) return isIpChanged ? asField : event.ip;
  if (typeof after === "string") return after;
  return isIpChanged ? asField : null;
}

/**
 * A change of a key counts wherever it was made, the field's own before that in the properties; a whole object that is missing
 * in one of the two places says nothing as long as the other is there.
 */
function putPerson(
  field: (typeof PERSON_FIELDS)[number],
  returned: PluginEvent,
  properties: JsonObject,
  result: Event,
  event: Event,
): void {
  const before = event[field];
  const hadInside = has(event.properties, field);
  const inside = properties[field];
  const own: unknown = returned[field];
  if (before === undefined && own === undefined) return;
  const base: JsonObject = { ...objectAt(event.properties, field), ...before };
  const isUntouched = isShallowEqual(own, before) && isShallowEqual(inside, before === undefined ? undefined : base);
  if (isUntouched) {
    if (hadInside) properties[field] = event.properties[field];
    else delete properties[field];
    return;
  }
  delete properties[field];
  const merged = mergePlaces(base, before, own, inside);
  if (merged === undefined) delete result[field];
  else result[field] = merged;
}

function mergePlaces(base: JsonObject, before: unknown, own: unknown, inside: unknown): JsonObject | undefined {
  if (!isObject(own)) return isObject(inside) ? inside : ((own ?? undefined) as JsonObject | undefined);
  if (!isObject(inside)) return own;
  const merged = { ...base };
  applyChanges(merged, base, inside);
  applyChanges(merged, isObject(before) ? before : {}, own);
  return merged;
}

function applyChanges(merged: JsonObject, before: JsonObject, after: JsonObject): void {
  for (const key of Object.keys(before)) if (!has(after, key)) delete merged[key];
  for (const key of Object.keys(after)) if (!has(before, key) || before[key] !== after[key]) merged[key] = after[key];
}

function isShallowEqual(a: unknown, b: unknown): boolean {
  if (!isObject(a) || !isObject(b)) return a === b;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => has(b, name) && a[name] === b[name]);
}

function objectAt(properties: JsonObject, field: string): JsonObject {
  const value = properties[field];
  return isObject(value) ? value : {};
}

function asText(timestamp: unknown): string {
  return timestamp instanceof Date ? timestamp.toISOString() : (timestamp as string);
}
