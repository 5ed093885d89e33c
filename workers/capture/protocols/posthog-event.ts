import type { Event } from "../../../shared/event.ts";
import { canonicalUuid } from "../../../shared/uuid.ts";
import type { Client } from "../client.ts";
import {
  EmptyEventNameError,
  InvalidCookielessModeError,
  MissingDistinctIdError,
  MissingEventNameError,
  ParseError,
} from "../errors.ts";
import { distinctIdText } from "./distinct-id.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import { eventTimestamp } from "./posthog-time.ts";

/** What all events of one request share. */
export interface Envelope {
  nowMs: number;
  /** `nowMs` as text. */
  receivedAt: string;
  sentAtMs: number | null;
  /** `sentAtMs` as text. */
  sentAt: string | undefined;
  historical: boolean;
  /** The name of an event that has none; null where that is an error. */
  unnamed: string | null;
  client: Client;
  source: string;
  nestingLevels: number;
  mintUuid(): string;
}

/**
 * Where an event stands in its request, such as `batch[3]`. Kept in two parts, because only errors need the text and building it
 * for every event shows in the profile.
 */
export interface Position {
  readonly list: string;
  index: number;
}

/** Where events come from that PostHog itself makes: from no user's address. */
export const INTERNAL: Client = { ip: "127.0.0.1", geo: undefined };

/**
 * An event as a client wrote it, normalised. Null counts as absent. Unknown keys are left behind. Keys are read by name, not through
 * a variable, and the required fields are set at once: both show in the profile.
 */
export function normaliseEvent(raw: JsonObject, at: Position, envelope: Envelope): Event {
  const properties = optionalObject(raw.properties, "properties", at) ?? {};
  const mode = properties.$cookieless_mode;
  if (mode !== undefined && typeof mode !== "boolean") throw new InvalidCookielessModeError(pathOf(at));
  const client = properties.capture_internal === undefined ? envelope.client : INTERNAL;
  const event: Event = {
    uuid: uuidOf(raw, at) ?? envelope.mintUuid(),
    event: nameOf(raw, at, envelope.unnamed),
    distinct_id: distinctIdOf(raw, properties, at, envelope.nestingLevels),
    timestamp: timestampOf(raw, properties, at, envelope),
    properties,
    ip: client.ip,
    received_at: envelope.receivedAt,
    source: envelope.source,
  };
  if (envelope.sentAt !== undefined) event.sent_at = envelope.sentAt;
  const set = optionalObject(raw.$set, "$set", at);
  if (set !== undefined) event.$set = set;
  const setOnce = optionalObject(raw.$set_once, "$set_once", at);
  if (setOnce !== undefined) event.$set_once = setOnce;
  if (envelope.historical) event.historical = true;
  return event;
}

function uuidOf(raw: JsonObject, at: Position): string | undefined {
  const given = optionalString(raw.uuid, "uuid", at);
  if (given === undefined || given === "") return undefined;
  const uuid = canonicalUuid(given);
  if (uuid === null) throw invalid("is not a UUID", "uuid", at);
  return uuid;
}

function nameOf(raw: JsonObject, at: Position, unnamed: string | null): string {
  const name = optionalString(raw.event, "event", at) ?? unnamed;
  if (name === null) throw new MissingEventNameError(pathOf(at));
  if (name === "") throw new EmptyEventNameError(pathOf(at));
  return name;
}

function timestampOf(raw: JsonObject, properties: JsonObject, at: Position, envelope: Envelope): string {
  const timestamp = optionalString(raw.timestamp, "timestamp", at);
  const offset = raw.offset ?? undefined;
  if (offset !== undefined && !Number.isInteger(offset)) throw invalid("must be an integer", "offset", at);
  const sentAtMs = properties.$ignore_sent_at === true ? null : envelope.sentAtMs;
  return eventTimestamp({ timestamp, offsetMs: offset as number | undefined, sentAtMs }, envelope.nowMs);
}

function distinctIdOf(raw: JsonObject, properties: JsonObject, at: Position, nestingLevels: number): string {
  const given = raw.distinct_id ?? raw.$distinct_id ?? properties.distinct_id ?? "";
  const text = distinctIdText(given, nestingLevels);
  if (text === "") throw new MissingDistinctIdError(pathOf(at));
  return text;
}

function optionalString(value: unknown, key: string, at: Position): string | undefined {
  if (value == null) return undefined;
  if (typeof value !== "string") throw invalid("must be a string", key, at);
  return value;
}

function optionalObject(value: unknown, key: string, at: Position): JsonObject | undefined {
  if (value == null) return undefined;
  if (!isObject(value)) throw invalid("must be an object", key, at);
  return value;
}

export function pathOf({ list, index }: Position): string {
  return `${list}[${index}]`;
}

function invalid(what: string, key: string, at: Position): ParseError {
  const path = `${pathOf(at)}.${key}`;
  return new ParseError(`${path} ${what}`, path);
}
