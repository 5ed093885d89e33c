/**
 * Events as RudderStack gives them to transformations, messages of Segment's Tracking API, and back: the inverse of what capture
 * makes of such messages, with the same names (shared/segment-names.ts).
 *
 * Properties that capture derived from the context are not shown again among the message's properties; they follow what the
 * context says afterwards. An event that did not come as such a message gets a context from its properties. On the way back only
 * what the script changed is changed: an event that it leaves alone comes back byte for byte.
 */
import type { Event } from "../../../../../shared/event.ts";
import {
  add,
  addContext,
  addHosts,
  CONTEXT_ROOTS,
  CONTEXT_TEXTS,
  EVENT_NAMES,
  GROUP_TYPE,
  MESSAGE_TYPES,
  type MessageType,
} from "../../../../../shared/segment-names.ts";
import { has, isEqual, isObject, type JsonObject, put } from "./json.ts";

export interface Message extends JsonObject {
  type: MessageType;
  messageId: unknown;
  properties: JsonObject;
  context: JsonObject;
}

/** Where properties of a page are, as web SDKs of Segment and RudderStack fill them, for pages that came otherwise. */
const PAGE_PROPERTIES = [
  ["url", "$current_url"],
  ["path", "$pathname"],
  ["referrer", "$referrer"],
] as const;

/** Fields of a message that have a place of their own in the event: they are not kept with the message. */
const PLACED = new Set(["properties", "receivedAt", "request_ip"]);
/** Further ones where the event did not come as a message. */
const PLACED_ELSEWHERE = new Set([
  ...["type", "event", "userId", "anonymousId", "messageId", "timestamp", "sentAt", "originalTimestamp", "context"],
]);

/** Shares nested values with the event: hand out a copy. */
export function messageOf(event: Event): Message {
  const kept = keptOf(event);
  const { $segment: _, ...properties } = event.properties;
  const type = typeOf(event, kept);
  const message: Message = {
    type,
    ...(type === "track" ? { event: event.event } : {}),
    ...(kept === null ? idsOf(event, type) : (kept as { messageId?: unknown })),
    messageId: kept?.messageId ?? event.uuid,
    properties,
    context: kept === null ? contextOf(event) : isObject(kept.context) ? kept.context : {},
    integrations: kept?.integrations ?? { All: true },
    originalTimestamp: kept?.originalTimestamp ?? kept?.timestamp ?? event.timestamp,
    timestamp: event.timestamp,
    sentAt: event.sent_at ?? kept?.sentAt ?? event.received_at,
    receivedAt: event.received_at,
    request_ip: event.ip,
  };
  message.type = type;
  if (type === "track") message.event = event.event;
  if (distinctIdOf(message) !== event.distinct_id) {
    const isUser = !has(message, "anonymousId") || text(message.userId) !== "";
    message[isUser ? "userId" : "anonymousId"] = event.distinct_id;
  }
  addTraits(message, event, kept);
  hideDerived(message, event);
  if (kept === null && type === "page") {
    for (const [name, property] of PAGE_PROPERTIES) add(message.properties, name, event.properties[property]);
  }
  return message;
}

/** The event after a script changed its message from `before` (messageOf the same event) to `after`. */
export function eventFrom(after: Message, before: Message, event: Event): Event {
  if (!MESSAGE_TYPES.includes(after.type)) throw new TypeError(`returned a message of type "${String(after.type)}"`);
  const kept = keptOf(event);
  const result: Event = { ...event };
  if (after.type !== before.type || after.event !== before.event) {
    result.event = after.type === "track" ? (after.event as string) : EVENT_NAMES[after.type];
  }
  const distinctId = distinctIdOf(after);
  if (distinctId !== distinctIdOf(before)) result.distinct_id = distinctId;
  if (after.timestamp !== before.timestamp) result.timestamp = asTimestamp(after.timestamp) ?? event.timestamp;
  if (after.sentAt !== before.sentAt && typeof after.sentAt === "string") result.sent_at = after.sentAt;
  result.ip = addressFrom(after, before, event, kept);
  result.properties = propertiesFrom(after, before, event, kept);
  if (isSetLinked(after.type, event, kept)) putSet(result, after, before);
  putKept(result, after, before, kept);
  return result;
}

/** What a message without an event of its own has to start from: only who and where. */
export function bareEvent({ uuid, distinct_id, timestamp, ip, received_at, source }: Event): Event {
  return { uuid, event: "-", distinct_id, timestamp, properties: {}, ip, received_at, source };
}

function keptOf({ properties }: Event): JsonObject | null {
  return isObject(properties.$segment) ? properties.$segment : null;
}

function typeOf({ event }: Event, kept: JsonObject | null): MessageType {
  if (kept?.type === "track") return "track";
  return MESSAGE_TYPES.find((type) => type !== "track" && EVENT_NAMES[type] === event) ?? "track";
}

/** Who an event is about that did not come as a message. */
function idsOf({ distinct_id, properties }: Event, type: MessageType): JsonObject {
  if (type === "alias") return { userId: distinct_id, previousId: properties.alias };
  const isAnonymous = properties.$is_identified === false || properties.$device_id === distinct_id;
  const ids: JsonObject = isAnonymous ? { anonymousId: distinct_id } : { userId: distinct_id };
  if (type === "identify") add(ids, "anonymousId", properties.$anon_distinct_id);
  if (type === "group") add(ids, "groupId", properties.$group_key);
  return ids;
}

function contextOf({ properties, ip, $set }: Event): JsonObject {
  const context: JsonObject = {};
  for (const [field, property] of CONTEXT_ROOTS) add(context, field, properties[property]);
  if (ip !== null) add(context, "ip", ip);
  for (const [section, field, property] of CONTEXT_TEXTS) {
    if (!has(properties, property)) continue;
    const fields = (context[section] ?? {}) as JsonObject;
    add(fields, field, properties[property]);
    if (has(fields, field)) context[section] = fields;
  }
  if ($set !== undefined) context.traits = $set;
  return context;
}

/** Whether what is set on the person is the traits of the message. */
function isSetLinked(type: MessageType, event: Event, kept: JsonObject | null): boolean {
  return type === "identify" || (kept === null && event.$set !== undefined);
}

function addTraits(message: Message, event: Event, kept: JsonObject | null): void {
  const { $set } = event;
  const { $group_set } = event.properties;
  if (message.type === "group" && isObject($group_set)) message.traits = $group_set;
  if (message.type !== "identify" || $set === undefined) return;
  const { traits } = message.context;
  if (kept === null || !isObject(traits)) {
    message.traits = $set;
    return;
  }
  const rest = Object.entries($set).filter(([key, value]) => !has(traits, key) || !isEqual(value, traits[key]));
  if (rest.length > 0) message.traits = Object.fromEntries(rest);
}

/** Takes what the rest of the message says out of its properties. */
function hideDerived(message: Message, event: Event): void {
  const derived = derivedOf(message, event.properties);
  for (const key of Object.keys(derived)) {
    if (key.startsWith("$") && isEqual(message.properties[key], derived[key])) delete message.properties[key];
  }
  if (message.type === "group" && isObject(event.properties.$group_set)) delete message.properties.$group_set;
}

/** What capture derives from a message; hosts from the addresses that stand in the end. */
function derivedOf(message: Message, stands: JsonObject): JsonObject {
  const derived: JsonObject = {};
  const { type, properties } = message;
  if (type === "page" || type === "screen") {
    add(derived, "name", message.name);
    add(derived, "category", message.category);
  }
  if (type === "page") for (const [name, property] of PAGE_PROPERTIES) add(derived, property, properties[name]);
  if (type === "screen") add(derived, "$screen_name", message.name);
  if (type === "alias") add(derived, "alias", message.previousId);
  if (type === "identify" && message.anonymousId !== distinctIdOf(message)) {
    add(derived, "$anon_distinct_id", message.anonymousId);
  }
  if (type === "group") {
    add(derived, "$group_type", GROUP_TYPE);
    add(derived, "$group_key", text(message.groupId));
  }
  addContext(derived, message.context);
  const group = text(message.groupId ?? message.context.groupId);
  if (group !== "") derived.$groups = { [GROUP_TYPE]: group };
  const hosts: JsonObject = {};
  add(hosts, "$current_url", stands.$current_url ?? derived.$current_url);
  add(hosts, "$referrer", stands.$referrer ?? derived.$referrer);
  addHosts(hosts);
  add(derived, "$host", hosts.$host);
  add(derived, "$referring_domain", hosts.$referring_domain);
  return derived;
}

function propertiesFrom(after: Message, before: Message, event: Event, kept: JsonObject | null): JsonObject {
  const given: unknown = after.properties ?? {};
  if (!isObject(given)) throw new TypeError('returned a message whose "properties" are not an object');
  const shown = before.properties;
  const returned = { ...given };
  if (kept === null && before.type === "page") {
    for (const [name] of PAGE_PROPERTIES) {
      if (!has(event.properties, name) && returned[name] === shown[name]) delete returned[name];
    }
  }
  const properties = { ...event.properties };
  for (const key of Object.keys(shown)) if (!has(returned, key)) delete properties[key];
  for (const key of Object.keys(returned)) put(properties, key, returned[key]);
  const now = derivedOf({ ...after, properties: returned, context: objectOr(after.context) }, returned);
  const then = derivedOf(before, event.properties);
  for (const key of new Set([...Object.keys(then), ...Object.keys(now)])) {
    if (isEqual(then[key], now[key])) continue;
    // What the script itself wrote there stays.
    if (has(returned, key) && !(isEqual(returned[key], shown[key]) && isEqual(shown[key], then[key]))) continue;
    if (!has(returned, key) && has(shown, key)) continue;
    const isOthers = !has(returned, key) && has(properties, key) && !isEqual(properties[key], then[key]);
    if (isOthers) continue;
    if (now[key] === undefined) delete properties[key];
    else put(properties, key, now[key]);
  }
  if (after.type === "group" && !isEqual(after.traits, before.traits)) properties.$group_set = after.traits ?? {};
  return properties;
}

/** Traits stand in one of two places, or in both: a change in either counts. */
function putSet(result: Event, after: Message, before: Message): void {
  const places = [
    [before.context.traits, objectOr(after.context).traits, after.traits],
    [before.traits, after.traits, objectOr(after.context).traits],
  ];
  const set: JsonObject = { ...result.$set };
  let isChanged = false;
  for (const [was, is, other] of places) {
    const old = objectOr(was);
    const fresh = objectOr(is);
    for (const key of new Set([...Object.keys(old), ...Object.keys(fresh)])) {
      if (isEqual(old[key], fresh[key])) continue;
      // Without the whole object, the other place speaks for both.
      if (!isObject(is) && has(objectOr(other), key)) continue;
      isChanged = true;
      if (has(fresh, key)) put(set, key, fresh[key]);
      else delete set[key];
    }
  }
  if (isChanged) result.$set = set;
}

/** What has no place in the event stays with the message, as capture keeps it. */
function putKept(result: Event, after: Message, before: Message, kept: JsonObject | null): void {
  const message: JsonObject = { ...kept };
  let isChanged = false;
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (PLACED.has(key) || (kept === null && PLACED_ELSEWHERE.has(key)) || isEqual(before[key], after[key])) continue;
    if (key === "event" && after.type === "track") continue;
    if (key === "traits" && (after.type === "identify" || after.type === "group")) continue;
    if (kept === null && key === "groupId" && after.type === "group") continue;
    if (kept === null && key === "previousId" && after.type === "alias") continue;
    isChanged = true;
    if (after[key] === undefined) delete message[key];
    else put(message, key, after[key]);
  }
  if (kept === null) {
    const context = unplaced(objectOr(after.context), has(objectOr(before.context), "traits"));
    if (Object.keys(context).length > 0) {
      message.context = context;
      isChanged = true;
    }
  }
  if (isChanged && (kept !== null || Object.keys(message).length > 0)) result.properties.$segment = message;
}

/** The part of a context that no property stands for. */
function unplaced(context: JsonObject, isSet: boolean): JsonObject {
  const rest: JsonObject = { ...context };
  for (const [field] of CONTEXT_ROOTS) if (typeof rest[field] !== "object") delete rest[field];
  if (isSet) delete rest.traits;
  for (const [section, field] of CONTEXT_TEXTS) {
    const fields = rest[section];
    if (!isObject(fields) || typeof fields[field] === "object") continue;
    const { [field]: _, ...others } = fields;
    if (Object.keys(others).length > 0) rest[section] = others;
    else delete rest[section];
  }
  return rest;
}

/** `request_ip` is the client's address; where the event came without a context, `context.ip` stands for it too. */
function addressFrom(after: Message, before: Message, event: Event, kept: JsonObject | null): string | null {
  if (after.request_ip !== before.request_ip) return typeof after.request_ip === "string" ? after.request_ip : null;
  if (kept !== null || has(event.properties, "$ip")) return event.ip;
  const { ip } = objectOr(after.context);
  if (ip === before.context.ip) return event.ip;
  return typeof ip === "string" ? ip : null;
}

function distinctIdOf({ type, userId, anonymousId }: Message): string {
  return text(userId) || (type === "alias" ? "" : text(anonymousId));
}

function text(id: unknown): string {
  return typeof id === "string" ? id : typeof id === "number" ? String(id) : "";
}

function objectOr(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function asTimestamp(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return value instanceof Date ? value.toISOString() : (value as string);
}
