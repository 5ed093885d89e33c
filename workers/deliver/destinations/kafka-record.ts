import type { Event } from "../../../shared/event.ts";
import { decodeLines } from "../../../shared/ndjson.ts";
import type { OutboundRequest } from "./destination.ts";

/** One Kafka record, as every protocol sends it: the same bytes whatever the protocol. */
export interface KafkaRecord {
  /** Null: no key. */
  key: string | null;
  /** JSON text. */
  value: string;
  /** Of format `posthog`; protocols that cannot carry headers leave them out. */
  headers: [name: string, value: string][];
}

export type KafkaFormat = "event" | "posthog";

export interface RecordSettings {
  key: string;
  format: KafkaFormat;
}

const PLACEHOLDER = /\{(\w*)\}/g;
const FIELDS = ["token", "team", "distinct_id", "uuid", "event"];

/** What is wrong with a key template; null where nothing is. */
export function keyTemplateProblem(template: string): string | null {
  for (const [, name] of template.matchAll(PLACEHOLDER)) {
    if (!FIELDS.includes(name as string))
      return `{${name}} is not known: use ${FIELDS.map((f) => `{${f}}`).join(", ")}`;
  }
  return null;
}

/** One record a line, in order. In format `event` the value is the line itself. */
export function kafkaRecords(request: OutboundRequest, settings: RecordSettings): KafkaRecord[] {
  const posthog = settings.format === "posthog";
  const needsEvent = posthog || /\{(distinct_id|uuid|event)\}/.test(settings.key);
  return decodeLines(request.events).map((line, i) => {
    const event = needsEvent ? parseEvent(line) : {};
    const token = request.tokens[i] ?? "";
    return {
      key: recordKey(settings.key, { ...event, token, team: request.team }),
      value: posthog ? capturedEvent(event, token) : line,
      headers: posthog ? capturedHeaders(event, token) : [],
    };
  });
}

function parseEvent(line: string): Partial<Event> {
  const value: unknown = JSON.parse(line);
  return typeof value === "object" && value !== null ? value : {};
}

function recordKey(template: string, fields: Record<string, unknown>): string | null {
  // An empty key would send everything to one partition; no key spreads it.
  if (template === "") return null;
  return template.replaceAll(PLACEHOLDER, (_, name: string) => textOf(fields[name]));
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** PostHog's CapturedEvent: the event as its ingestion consumers read it, the client's part encoded once more inside `data`. */
function capturedEvent(event: Partial<Event>, token: string): string {
  const data = {
    event: event.event,
    distinct_id: event.distinct_id,
    uuid: event.uuid,
    properties: event.properties ?? {},
    timestamp: event.timestamp,
    $set: event.$set,
    $set_once: event.$set_once,
  };
  return JSON.stringify({
    uuid: event.uuid,
    distinct_id: event.distinct_id,
    ip: event.ip ?? "",
    data: JSON.stringify(data),
    now: event.received_at,
    sent_at: event.sent_at,
    token,
    event: event.event,
    timestamp: event.timestamp,
    historical_migration: event.historical === true ? true : undefined,
  });
}

/** Those that have a value: none of the HTTP protocols can say null. */
function capturedHeaders(event: Partial<Event>, token: string): [string, string][] {
  const properties = event.properties ?? {};
  const at = Date.parse(event.timestamp ?? "");
  const headers: [string, unknown][] = [
    ["token", token],
    ["distinct_id", event.distinct_id],
    ["session_id", properties.$session_id],
    ["timestamp", Number.isNaN(at) ? undefined : String(at)],
    ["event", event.event],
    ["uuid", event.uuid],
    ["now", event.received_at],
    ["force_disable_person_processing", properties.$process_person_profile === false ? "true" : undefined],
    ["historical_migration", event.historical === true ? "true" : undefined],
  ];
  return headers.filter((header): header is [string, string] => typeof header[1] === "string");
}
