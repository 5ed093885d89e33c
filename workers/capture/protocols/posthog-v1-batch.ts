import { canonicalUuid } from "../../../shared/uuid.ts";
import { EmptyBatchError, EventUuidError, InvalidBatchError, ParseError } from "../errors.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import { parseRfc3339 } from "./posthog-time.ts";
import type { V1Event } from "./posthog-v1-event.ts";

/** A batch all of whose fields have the types that v1 asks for. */
export interface V1Batch {
  events: V1Event[];
  historical: boolean;
  /** Made by the pipeline itself, and so from no user's address. */
  internal: boolean;
}

/** Throws 400 for what refuses a batch as a whole: a field that is missing or of another type, or an event without a uuid of its own. */
export function parseBatch(body: unknown): V1Batch {
  if (!isObject(body)) throw new ParseError("expected an object with created_at and batch");
  const createdAt = stringOf(body, "created_at", "");
  const historical = flagOf(body, "historical_migration");
  const internal = flagOf(body, "capture_internal");
  if (!Array.isArray(body.batch)) throw new ParseError("batch must be an array", "batch");
  const events = body.batch.map(eventOf);
  if (events.length === 0) throw new EmptyBatchError();
  if (parseRfc3339(createdAt) === null)
    throw new InvalidBatchError("created_at is no RFC 3339 timestamp", "created_at");
  requireOwnUuids(events);
  return { events, historical, internal };
}

function eventOf(raw: unknown, index: number): V1Event {
  const path = `batch[${index}]`;
  if (!isObject(raw)) throw new ParseError(`${path} must be an object`, path);
  const uuidText = stringOf(raw, "uuid", `${path}.`).trim();
  return {
    uuidText,
    uuid: uuidOf(uuidText, `${path}.uuid`),
    event: stringOf(raw, "event", `${path}.`),
    distinctId: stringOf(raw, "distinct_id", `${path}.`).trim(),
    timestamp: stringOf(raw, "timestamp", `${path}.`),
    sessionId: optionalStringOf(raw, "session_id", path),
    windowId: optionalStringOf(raw, "window_id", path),
    options: raw.options,
    properties: raw.properties,
  };
}

function uuidOf(text: string, path: string): string {
  if (text === "") throw new EventUuidError("missing", path);
  const uuid = canonicalUuid(text);
  if (uuid === null) throw new EventUuidError("invalid", path);
  return uuid;
}

/** The answer has one result for each uuid. */
function requireOwnUuids(events: readonly V1Event[]): void {
  const seen = new Set<string>();
  for (const [index, { uuid }] of events.entries()) {
    if (seen.has(uuid)) throw new EventUuidError("duplicate", `batch[${index}].uuid`);
    seen.add(uuid);
  }
}

/** `prefix`: what stands before the key in its path. */
function stringOf(object: JsonObject, key: string, prefix: string): string {
  const value = object[key];
  if (typeof value !== "string") throw new ParseError(`${prefix}${key} must be a string`, `${prefix}${key}`);
  return value;
}

function optionalStringOf(object: JsonObject, key: string, path: string): string | undefined {
  const value = object[key];
  if (value == null) return undefined;
  if (typeof value !== "string") throw new ParseError(`${path}.${key} must be a string`, `${path}.${key}`);
  return value;
}

function flagOf(object: JsonObject, key: string): boolean {
  const value = object[key] ?? false;
  if (typeof value !== "boolean") throw new ParseError(`${key} must be a boolean`, key);
  return value;
}
