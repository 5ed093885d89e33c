import type { Event } from "../../../shared/event.ts";
import { formatTimestamp } from "../../../shared/timestamp.ts";
import type { Client } from "../client.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import { SOURCE } from "./posthog-batch.ts";
import { eventTimestamp, parseRfc3339 } from "./posthog-time.ts";
import type { Sdk } from "./posthog-v1-headers.ts";
import { optionsOf, type V1Options } from "./posthog-v1-options.ts";

/** An event of a batch whose required fields have the right types and whose uuid is one. */
export interface V1Event {
  /** As the client wrote it, without whitespace around it: the answer names the event by it. */
  uuidText: string;
  uuid: string;
  event: string;
  distinctId: string;
  timestamp: string;
  sessionId: string | undefined;
  windowId: string | undefined;
  options: unknown;
  properties: unknown;
}

/** What all events of one request share. */
export interface V1Envelope {
  nowMs: number;
  /** `nowMs` as text. */
  receivedAt: string;
  sentAtMs: number;
  /** `sentAtMs` as text. */
  sentAt: string;
  historical: boolean;
  client: Client;
  sdk: Sdk | null;
}

/** What becomes of one event. */
export interface Outcome {
  uuidText: string;
  result: "ok" | "warning" | "drop";
  details?: string;
  /** Null where it is dropped. */
  event: Event | null;
}

const MAX_NAME_BYTES = 200;
const MAX_DISTINCT_ID_BYTES = 200;
const PERFORMANCE_EVENT = "$performance_event";

/** Ids that many users share by mistake, in lower case. Their events are kept, and make no person. */
const ILLEGAL_IDS = new Set(
  `0 00000000-0000-0000-0000-000000000000 anonymous anonymous-user backend distinct_id distinctid email false guest id nan none
  not_authenticated null system true undefined user`
    .split(/\s+/)
    .concat("[object object]"),
);

export function outcomeOf(raw: V1Event, envelope: V1Envelope): Outcome {
  if (raw.event === "") return dropped(raw, "missing_event_name");
  if (raw.event === PERFORMANCE_EVENT) return dropped(raw, "dropped_performance_event");
  if (isLonger(raw.event, MAX_NAME_BYTES)) return dropped(raw, "event_name_too_long");
  if (raw.distinctId === "") return dropped(raw, "missing_distinct_id");
  if (isLonger(raw.distinctId, MAX_DISTINCT_ID_BYTES)) return dropped(raw, "distinct_id_too_large");
  const atMs = parseRfc3339(raw.timestamp);
  if (atMs === null) return dropped(raw, "invalid_event_timestamp");
  const options = optionsOf(raw.options);
  if (options === null) return dropped(raw, "invalid_options");
  const properties = raw.properties === undefined ? {} : raw.properties;
  if (!isObject(properties)) return dropped(raw, "malformed_event_properties");
  const illegal = ILLEGAL_IDS.has(raw.distinctId.toLowerCase());
  inject(properties, raw, illegal ? { ...options, processPersonProfile: false } : options, envelope.sdk);
  const timestamp = options.disableSkewCorrection ? formatTimestamp(atMs) : correctedTimestamp(raw, envelope);
  const event = normalised(raw, timestamp, properties, envelope);
  const { uuidText } = raw;
  if (illegal) return { uuidText, result: "warning", details: "person_processing_disabled", event };
  return { uuidText, result: "ok", event };
}

/** `details`: why, as v1's SDKs know it. */
export function dropped({ uuidText }: { uuidText: string }, details: string): Outcome {
  return { uuidText, result: "drop", details, event: null };
}

function correctedTimestamp({ timestamp }: V1Event, { sentAtMs, nowMs }: V1Envelope): string {
  return eventTimestamp({ timestamp, offsetMs: undefined, sentAtMs }, nowMs);
}

function normalised(raw: V1Event, timestamp: string, properties: JsonObject, envelope: V1Envelope): Event {
  const event: Event = {
    uuid: raw.uuid,
    event: raw.event,
    distinct_id: raw.distinctId,
    timestamp,
    properties,
    ip: envelope.client.ip,
    received_at: envelope.receivedAt,
    sent_at: envelope.sentAt,
    source: SOURCE,
  };
  if (envelope.historical) event.historical = true;
  return event;
}

/** What v1 has fields and headers for, as the properties by which everything behind PostHog's v0 knows it. They win over the client's. */
function inject(properties: JsonObject, raw: V1Event, options: V1Options, sdk: Sdk | null): void {
  if (raw.sessionId !== undefined) properties.$session_id = raw.sessionId;
  if (raw.windowId !== undefined) properties.$window_id = raw.windowId;
  if (options.cookielessMode !== undefined) properties.$cookieless_mode = options.cookielessMode;
  if (options.disableSkewCorrection !== undefined) properties.$ignore_sent_at = options.disableSkewCorrection;
  if (options.productTourId !== undefined) properties.$product_tour_id = options.productTourId;
  if (options.processPersonProfile !== undefined) properties.$process_person_profile = options.processPersonProfile;
  if (sdk === null) return;
  properties.$lib = sdk.name;
  properties.$lib_version = sdk.version;
}

const utf8 = new TextEncoder();

/** Bytes; the text is only encoded where its length leaves it open. */
function isLonger(text: string, bytes: number): boolean {
  if (text.length > bytes) return true;
  return text.length * 3 > bytes && utf8.encode(text).length > bytes;
}
