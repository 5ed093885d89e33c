import type { Event } from "../../../shared/event.ts";
import { decodeLines } from "../../../shared/ndjson.ts";
import type { ShapedEvent } from "../../../shared/sandbox-api.ts";
import { bodyText, shapedEvent, withoutRequest } from "../shaped-event.ts";
import type { OutboundRequest } from "./destination.ts";
import { TOPIC_NAME } from "./topic-name.ts";

/** One Kafka record, as every protocol sends it: the same bytes whatever the protocol. */
export interface KafkaRecord {
  topic: string;
  /** Null: no key. */
  key: string | null;
  /** JSON text. */
  value: string;
  /** Of format `posthog`, which protocols that cannot carry headers leave out, of the settings, and of the destination's script. */
  headers: [name: string, value: string][];
  /** The destination's script named the topic. */
  scriptTopic?: true;
}

/** `problem`: what the destination's script gave that no record can be made of, for its author. */
export type MaybeRecord = KafkaRecord | { problem: string };

export type KafkaFormat = "event" | "posthog";

export interface RecordSettings {
  topic: string;
  key: string;
  format: KafkaFormat;
  /** Templates by name. */
  headers?: Record<string, string> | undefined;
}

/** The longest that Kafka takes. */
const MAX_TOPIC_LENGTH = 249;
const PLACEHOLDER = /\{(\w*)\}/g;
const FIELDS = ["token", "team", "distinct_id", "uuid", "event"];
export const TOPIC_FIELDS = ["team", "token"];
const EVENT_FIELD = /\{(distinct_id|uuid|event)\}/;

/** What is wrong with a template; null where nothing is. */
export function templateProblem(template: string, fields: readonly string[] = FIELDS): string | null {
  for (const [, name] of template.matchAll(PLACEHOLDER)) {
    if (!fields.includes(name as string))
      return `{${name}} is not known here: use ${fields.map((f) => `{${f}}`).join(", ")}`;
  }
  return null;
}

/** Whether the settings can give more than one topic. */
export function isTemplate(topic: string): boolean {
  return topic.includes("{");
}

/** One record a line, in order. In format `event` the value is the line itself. `headers`: whether the protocol has any. */
export function kafkaRecords(request: OutboundRequest, settings: RecordSettings, headers: boolean): MaybeRecord[] {
  const templates = [settings.key, ...Object.values(settings.headers ?? {})];
  const needsEvent = settings.format === "posthog" || templates.some((template) => EVENT_FIELD.test(template));
  return decodeLines(request.events).map((line, i) => {
    const from = { token: request.tokens[i] ?? "", team: request.team };
    const shaped = request.shaped === true ? shapedEvent(line) : null;
    if (shaped === null) return recordOf(needsEvent ? parseEvent(line) : {}, line, from, settings);
    return shapedRecord(shaped, from, settings, headers);
  });
}

function recordOf(
  event: Partial<Event>,
  line: string,
  from: { token: string; team: string },
  settings: RecordSettings,
): KafkaRecord {
  const posthog = settings.format === "posthog";
  const fields = { ...event, ...(posthog ? { distinct_id: userOf(event) } : {}), ...from };
  return {
    topic: isTemplate(settings.topic) ? topicName(filled(settings.topic, fields)) : settings.topic,
    // An empty key would send everything to one partition; no key spreads it.
    key: settings.key === "" ? null : filled(settings.key, fields),
    value: posthog ? capturedEvent(event, from.token) : line,
    headers: withHeaders(posthog ? capturedHeaders(event, from.token) : [], settings.headers ?? {}, fields),
  };
}

/** Tokens may hold what topics may not. */
function topicName(text: string): string {
  return text.replaceAll(/[^a-zA-Z0-9._-]/g, "_").slice(0, MAX_TOPIC_LENGTH);
}

function withHeaders(
  headers: [string, string][],
  templates: Record<string, string>,
  fields: Record<string, unknown>,
): [string, string][] {
  const own = Object.entries(templates);
  if (own.length === 0) return headers;
  const others = headers.filter(([name]) => !Object.hasOwn(templates, name));
  return [...others, ...own.map(([name, template]): [string, string] => [name, filled(template, fields)])];
}

/** What the script gave over what the settings say. */
function shapedRecord(
  shaped: ShapedEvent,
  from: { token: string; team: string },
  settings: RecordSettings,
  headersAllowed: boolean,
): MaybeRecord {
  const { key, topic, headers = {} } = shaped.$request;
  const wrong = (what: string) => ({ problem: `the destination's script gave ${what}` });
  if (topic !== undefined && (typeof topic !== "string" || !TOPIC_NAME.test(topic)))
    return wrong("a topic that is no name of a Kafka topic");
  if (key !== undefined && key !== null && typeof key !== "string") return wrong("a key that is neither text nor null");
  if (typeof headers !== "object" || headers === null) return wrong("headers that are not an object");
  const own = Object.entries(headers as Record<string, unknown>);
  if (own.some(([, value]) => typeof value !== "string")) return wrong("a header whose value is not text");
  if (own.length > 0 && !headersAllowed) return wrong("headers, which protocol confluent-v2 cannot carry");
  const event = withoutRequest(shaped);
  const record = recordOf(event, JSON.stringify(event), from, settings);
  return {
    topic: topic ?? record.topic,
    ...(topic === undefined || topic === record.topic ? {} : { scriptTopic: true as const }),
    key: key === undefined ? record.key : key,
    value: bodyText(shaped) ?? record.value,
    headers: [...record.headers.filter(([name]) => !Object.hasOwn(headers, name)), ...(own as [string, string][])],
  };
}

function parseEvent(line: string): Partial<Event> {
  const value: unknown = JSON.parse(line);
  return typeof value === "object" && value !== null ? value : {};
}

function filled(template: string, fields: Record<string, unknown>): string {
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
    is_cookieless_mode: event.properties?.$cookieless_mode === true ? true : undefined,
    historical_migration: event.historical === true ? true : undefined,
  });
}

/** What tells this event's user from others: a cookieless one has no id, and all of them share one text in its place. */
function userOf({ distinct_id: distinctId, ip, properties }: Partial<Event>): unknown {
  return properties?.$cookieless_mode === true ? ip : distinctId;
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
    ["skip_heatmap_processing", event.heatmap_split === true ? "true" : undefined],
  ];
  return headers.filter((header): header is [string, string] => typeof header[1] === "string");
}
