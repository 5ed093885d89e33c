import type { Event } from "../../../shared/event.ts";
import { add, addContext, addHosts, EVENT_NAMES, GROUP_TYPE, type MessageType } from "../../../shared/segment-names.ts";
import { canonicalUuid } from "../../../shared/uuid.ts";
import { UuidV5 } from "../../../shared/uuid-v5.ts";
import type { Client } from "../client.ts";
import { distinctIdText } from "./distinct-id.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import { eventTimestamp } from "./posthog-time.ts";
import { InvalidMessageError } from "./segment-errors.ts";

/** The namespace of message ids. Changing it would make every message that is sent again a new event. */
const MESSAGE_IDS = new UuidV5("c8bd3d5e-5e4b-4d0f-9a54-6a3f8c1b7f60");

/** What all messages of one request share. */
export interface SegmentEnvelope {
  nowMs: number;
  /** `nowMs` as text. */
  receivedAt: string;
  /** Null where the client does not say when it sent the request. */
  sentAtMs: number | null;
  /** `sentAtMs` as text. */
  sentAt: string | undefined;
  /** The request's own, which stand behind those of each message. */
  context: JsonObject | undefined;
  integrations: unknown;
  client: Client;
  source: string;
  nestingLevels: number;
  mintUuid(): string;
}

/**
 * One message of the Tracking API as an event, by the names that PostHog gives to them. The message itself, without what the event
 * has elsewhere, is `properties.$segment`: nothing that a client sent is lost. `index`: of the message in its batch, for errors; null
 * for a request of one message. Throws InvalidMessageError.
 */
export function segmentEvent(
  raw: JsonObject,
  type: MessageType,
  index: number | null,
  envelope: SegmentEnvelope,
): Event {
  const message = new Message(raw, index);
  const { writeKey, event: name, properties: own, traits, ...rest } = raw;
  const properties = message.object("properties") ?? {};
  const context = contextOf(message, envelope);
  const event: Event = {
    uuid: uuidOf(message, envelope),
    event: type === "track" ? message.text("event") : EVENT_NAMES[type],
    distinct_id: distinctIdOf(message, type, envelope.nestingLevels),
    timestamp: timestampOf(message, envelope),
    properties,
    ip: envelope.client.ip,
    received_at: envelope.receivedAt,
    source: envelope.source,
  };
  if (envelope.sentAt !== undefined) event.sent_at = envelope.sentAt;
  addByType[type](event, message, context);
  if (context !== undefined) addContext(properties, context);
  addHosts(properties);
  addGroup(properties, raw.groupId ?? context?.groupId);
  const kept: JsonObject = rest;
  // What this type of event has no place for stays with the message.
  if (name !== undefined && type !== "track") kept.event = name;
  if (traits !== undefined && type !== "identify" && type !== "group") kept.traits = traits;
  if (context !== undefined) kept.context = context;
  if (raw.integrations === undefined && envelope.integrations !== undefined) kept.integrations = envelope.integrations;
  properties.$segment = kept;
  return event;
}

/** What each type of message adds. A value that the client put into the properties stays. */
const addByType: Record<MessageType, (event: Event, message: Message, context: JsonObject | undefined) => void> = {
  track: () => {},

  identify(event, message, context) {
    const { anonymousId } = message.raw;
    // RudderStack's browser SDK has all traits in the context.
    const traits = { ...(isObject(context?.traits) ? context.traits : {}), ...message.object("traits") };
    event.$set = traits;
    if (anonymousId !== event.distinct_id) add(event.properties, "$anon_distinct_id", anonymousId);
  },

  page({ properties }, { raw }) {
    addNames(properties, raw);
    add(properties, "$current_url", properties.url);
    add(properties, "$pathname", properties.path);
    add(properties, "$referrer", properties.referrer);
  },

  screen({ properties }, { raw }) {
    addNames(properties, raw);
    add(properties, "$screen_name", raw.name);
  },

  group({ properties }, message) {
    add(properties, "$group_type", GROUP_TYPE);
    add(properties, "$group_key", message.id("groupId"));
    properties.$group_set ??= message.object("traits") ?? {};
  },

  alias({ properties }, message) {
    add(properties, "alias", message.id("previousId"));
  },
};

function addNames(properties: JsonObject, raw: JsonObject): void {
  add(properties, "name", raw.name);
  add(properties, "category", raw.category);
}

function addGroup(properties: JsonObject, groupId: unknown): void {
  const known = typeof groupId === "string" ? groupId !== "" : typeof groupId === "number";
  if (known && !Object.hasOwn(properties, "$groups")) properties.$groups = { [GROUP_TYPE]: String(groupId) };
}

function contextOf(message: Message, envelope: SegmentEnvelope): JsonObject | undefined {
  const own = message.object("context");
  if (own === undefined || envelope.context === undefined) return own ?? envelope.context;
  return { ...envelope.context, ...own };
}

function uuidOf(message: Message, envelope: SegmentEnvelope): string {
  const { messageId } = message.raw;
  if (messageId == null || messageId === "") return envelope.mintUuid();
  if (typeof messageId !== "string") throw message.invalid("messageId", "must be a string");
  return canonicalUuid(messageId) ?? MESSAGE_IDS.of(messageId);
}

function distinctIdOf(message: Message, type: MessageType, nestingLevels: number): string {
  const { userId, anonymousId } = message.raw;
  // An alias is of a user: whoever is anonymous has no other name.
  const distinctId =
    distinctIdText(userId, nestingLevels) || (type === "alias" ? "" : distinctIdText(anonymousId, nestingLevels));
  if (distinctId !== "") return distinctId;
  if (type === "alias") throw message.invalid("userId", "is required");
  throw message.invalid("userId", `or ${message.path("anonymousId")} is required`);
}

/**
 * The client's clock, corrected by how far its sending time is off. `timestamp` goes before `originalTimestamp`: where an SDK sends
 * both, the first is the one that its caller has set.
 */
function timestampOf(message: Message, envelope: SegmentEnvelope): string {
  const timestamp = message.instant("timestamp") ?? message.instant("originalTimestamp");
  const sentAtMs = envelope.sentAtMs;
  return eventTimestamp({ timestamp, offsetMs: undefined, sentAtMs }, envelope.nowMs);
}

/** What errors call a message of a batch. */
export function pathOf(index: number): string {
  return `batch[${index}]`;
}

/** A message with its place, so that errors can say where. */
class Message {
  readonly raw: JsonObject;
  readonly #index: number | null;

  constructor(raw: JsonObject, index: number | null) {
    this.raw = raw;
    this.#index = index;
  }

  path(key: string): string {
    return this.#index === null ? key : `${pathOf(this.#index)}.${key}`;
  }

  invalid(key: string, what: string): InvalidMessageError {
    return new InvalidMessageError(this.path(key), what);
  }

  /** Null counts as absent. */
  object(key: string): JsonObject | undefined {
    const value = this.raw[key];
    if (value == null) return undefined;
    if (!isObject(value)) throw this.invalid(key, "must be an object");
    return value;
  }

  text(key: string): string {
    const value = this.raw[key];
    if (value == null || value === "") throw this.invalid(key, "is required");
    if (typeof value !== "string") throw this.invalid(key, "must be a string");
    return value;
  }

  id(key: string): string {
    const value = this.raw[key];
    if (value == null || value === "") throw this.invalid(key, "is required");
    if (typeof value !== "string" && typeof value !== "number") throw this.invalid(key, "must be a string");
    return String(value);
  }

  /** As text; numbers are epochs. */
  instant(key: string): string | undefined {
    const value = this.raw[key];
    if (value == null || value === "") return undefined;
    if (typeof value === "number") return String(value);
    if (typeof value !== "string") throw this.invalid(key, "must be a string");
    return value;
  }
}
