import type { Event } from "../../../shared/event.ts";
import { UuidV5 } from "../../../shared/uuid-v5.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import { encodeEvents } from "../encode.ts";
import { InvalidSessionIdError, MissingSessionIdError, MissingSnapshotDataError } from "../errors.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import type { Payload } from "./posthog-batch.ts";
import { type Envelope, normaliseEvent, pathOf } from "./posthog-event.ts";

const RECORDING_EVENT = "$snapshot_items";
const SESSION_ID = /^[A-Za-z0-9-]{1,70}$/;
/** What recorded, where nothing says otherwise; recordings have always come from browsers. */
const DEFAULT_SOURCE = "web";
/** A user agent that begins so names the SDK, as `posthog-ios/3.1.0` does. */
const SDK_NAME = /^[^/\s]*posthog[^/\s]*/;

/**
 * A request of a session recording as one event: whose and which session it is says the first event, the snapshots are those of all.
 * Throws 400 where the session or a snapshot is missing. The payload has at least one event.
 */
export function recordingOf(payload: Payload, envelope: Envelope, userAgent: string | null): Event {
  const at = { list: payload.list, index: 0 };
  const base = normaliseEvent(payload.events[0] as JsonObject, at, envelope);
  const { properties } = base;
  const sessionId = sessionIdOf(properties, pathOf(at));
  return {
    ...base,
    event: RECORDING_EVENT,
    properties: {
      distinct_id: base.distinct_id,
      $session_id: sessionId,
      $window_id: properties.$window_id ?? sessionId,
      $snapshot_source: properties.$snapshot_source ?? DEFAULT_SOURCE,
      $snapshot_items: snapshotsOf(payload),
      $lib: properties.$lib ?? libraryOf(userAgent),
      ...(properties.$cookieless_mode === undefined ? {} : { $cookieless_mode: properties.$cookieless_mode }),
    },
  };
}

/** Of the uuids of parts, made from the whole's so that a retry makes the same ones (invariant 7). */
const uuids = new UuidV5("2f9a0c44-7d0e-4c53-9a57-0d1f6b8c3e92");
const utf8 = new TextEncoder();

/**
 * A recording as several events that are each within the limit: the snapshots in their order, everything else in each of them. Whoever
 * reads recordings puts together what it gets of a session. Null where a snapshot alone is over the limit, or deeper than the stack.
 */
export function splitRecording(whole: Event, limits: DecodeLimits): Event[] | null {
  const snapshots = whole.properties.$snapshot_items as unknown[];
  const part = (index: number, items: unknown[]): Event => ({
    ...whole,
    uuid: index === 0 ? whole.uuid : uuids.of(`${whole.uuid}:${index}`),
    properties: { ...whole.properties, $snapshot_items: items },
  });
  const room = limits.eventBytes - encodeEvents([part(0, [])], limits).bytes.length;
  const parts: Event[] = [];
  let items: unknown[] = [];
  let taken = 0;
  for (const snapshot of snapshots) {
    const size = jsonBytes(snapshot);
    if (size === null) return null;
    // With the comma before it.
    const bytes = size + 1;
    if (bytes > room) return null;
    if (taken + bytes > room) {
      parts.push(part(parts.length, items));
      items = [];
      taken = 0;
    }
    items.push(snapshot);
    taken += bytes;
  }
  parts.push(part(parts.length, items));
  return parts;
}

/** Null for data that is deeper than the stack: no part of it could be stored. */
function jsonBytes(value: unknown): number | null {
  try {
    return utf8.encode(JSON.stringify(value)).length;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function sessionIdOf(properties: JsonObject, path: string): string {
  const id = properties.$session_id;
  if (id == null) throw new MissingSessionIdError(path);
  if (typeof id !== "string" || !SESSION_ID.test(id)) throw new InvalidSessionIdError(path);
  return id;
}

function libraryOf(userAgent: string | null): string {
  return SDK_NAME.exec(userAgent ?? "")?.[0] ?? DEFAULT_SOURCE;
}

function snapshotsOf({ events, list }: Payload): unknown[] {
  const snapshots: unknown[] = [];
  for (const [index, raw] of events.entries()) {
    const data = isObject(raw.properties) ? raw.properties.$snapshot_data : undefined;
    if (Array.isArray(data)) for (const item of data) snapshots.push(item);
    else if (isObject(data)) snapshots.push(data);
    else throw new MissingSnapshotDataError(pathOf({ list, index }));
  }
  return snapshots;
}
