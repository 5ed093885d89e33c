import { expect } from "vitest";
import type { Event } from "../../shared/event.ts";
import type { WebhookSink } from "../e2e/webhook-sink.ts";
import type { Passed } from "./front.ts";

type JsonObject = Record<string, unknown>;

/** As it arrives: half surrogate pairs become U+FFFD, in keys too. */
function repaired<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_key, inner: unknown) => {
    if (typeof inner === "string") return inner.toWellFormed();
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).map(([key, item]) => [key.toWellFormed(), item]));
  }) as T;
}

/** What the sink got; each uuid once. */
export function arrived(sink: WebhookSink): Event[] {
  const events = sink.accepted.flatMap((delivery) => delivery.events);
  const uuids = events.map(({ uuid }) => uuid);
  expect(uuids).toEqual([...new Set(uuids)]);
  return events;
}

const TYPES: Record<string, string> = { t: "track", i: "identify", p: "page", s: "screen", g: "group", a: "alias" };
const NAMES: Record<string, string> = {
  identify: "$identify",
  page: "$pageview",
  screen: "$screen",
  group: "$groupidentify",
  alias: "$create_alias",
};

/** The messages of one request of a Segment-like SDK, as they were on the wire. */
function messagesOf({ path, body }: Passed): JsonObject[] {
  const parsed = repaired(JSON.parse(body) as JsonObject);
  const type = path.replace(/\/$/, "").split("/").at(-1) ?? "";
  if (!Array.isArray(parsed.batch)) return [{ ...parsed, type: TYPES[type] ?? type }];
  const { context, integrations } = parsed;
  return (parsed.batch as JsonObject[]).map((message) => ({
    ...(integrations === undefined ? {} : { integrations }),
    ...message,
    ...(context === undefined ? {} : { context: { ...(context as JsonObject), ...(message.context as JsonObject) } }),
  }));
}

/** Every field of the message is in its event. */
function expectMessageArrived(message: JsonObject, events: readonly Event[]): void {
  const found = events.filter(({ properties }) => {
    const kept = properties.$segment as JsonObject | undefined;
    return kept?.messageId === message.messageId;
  });
  expect(found, `message ${JSON.stringify(message).slice(0, 300)}`).toHaveLength(1);
  const event = found[0]!;
  const { writeKey, event: name, properties, traits, sentAt, type, ...rest } = message;
  expect(event.event).toBe(type === "track" ? name : NAMES[type as string]);
  expect(event.distinct_id).toBe(String(message.userId || message.anonymousId));
  expect(event.properties).toMatchObject((properties ?? {}) as JsonObject);
  expect(event.properties.$segment).toMatchObject(rest);
  if (type === "identify") expect(event.$set).toMatchObject((traits ?? {}) as JsonObject);
  if (type === "group") expect(event.properties.$group_set).toEqual(traits ?? {});
  if (type === "alias") expect(event.properties.alias).toBe(message.previousId);
}

/** Every message that the product has taken is there, as it was when it was taken first: an SDK notes in it how often it has tried. */
export function expectAllArrived(passed: readonly Passed[], events: readonly Event[]): void {
  const first = new Map<unknown, JsonObject>();
  for (const message of passed.filter(({ taken }) => taken).flatMap(messagesOf)) {
    if (!first.has(message.messageId)) first.set(message.messageId, message);
  }
  expect(first.size).toBeGreaterThan(0);
  for (const message of first.values()) expectMessageArrived(message, events);
}

/** The events of one request of a PostHog SDK, as they were on the wire. */
export function posthogEventsOf({ body, headers, query }: Passed): JsonObject[] {
  const form = headers["content-type"] === "application/x-www-form-urlencoded";
  const data = form ? (new URLSearchParams(body).get("data") ?? "") : body;
  const text = query.get("compression") === "base64" ? Buffer.from(data, "base64").toString() : data;
  const parsed = repaired(JSON.parse(text) as JsonObject | JsonObject[]);
  if (Array.isArray(parsed)) return parsed;
  return Array.isArray(parsed.batch) ? (parsed.batch as JsonObject[]) : [parsed];
}

/** Every field of the event is in what arrived, and nothing else is. */
export function expectEventArrived(sent: JsonObject, events: readonly Event[]): void {
  const found = events.filter(({ uuid }) => uuid === sent.uuid);
  expect(found, `event ${JSON.stringify(sent).slice(0, 300)}`).toHaveLength(1);
  const event = found[0]!;
  const properties = sent.properties as JsonObject;
  expect(event.event).toBe(sent.event);
  expect(event.distinct_id).toBe(String(sent.distinct_id ?? properties.distinct_id));
  expect(event.properties).toEqual(properties);
  expect(event.$set).toEqual(sent.$set);
  expect(event.$set_once).toEqual(sent.$set_once);
}
