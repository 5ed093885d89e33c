import { formatTimestamp, parseTimestamp } from "../../../shared/timestamp.ts";
import { InconsistentTokensError, MissingEventNameError, MissingTokenError, ParseError } from "../errors.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import { type Envelope, pathOf } from "./posthog-event.ts";
import { checkedToken } from "./posthog-token.ts";
import { type CaptureContext, queryValue } from "./protocol.ts";

/** `Event.source` of both versions. */
export const SOURCE = "posthog";

/** The three shapes of a body as one. */
export interface Payload {
  events: JsonObject[];
  /** What errors call the list. */
  list: string;
  /** From the batch's own keys; undefined where the events carry it. */
  token: string | undefined;
  sentAt: unknown;
  historical: boolean;
}

/** Throws ParseError. */
export function payloadOf(body: unknown): Payload {
  if (Array.isArray(body)) return { ...BARE, events: eventsOf(body, EVENTS), list: EVENTS };
  if (!isObject(body)) throw new ParseError("expected an event, a list of events or a batch");
  if (!Array.isArray(body.batch)) return { ...BARE, events: [body], list: EVENTS };
  return {
    events: eventsOf(body.batch, "batch"),
    list: "batch",
    token: stringOf(body, ["token", "api_key"], "batch"),
    sentAt: body.sent_at,
    historical: isHistorical(body),
  };
}

/** Errors call a body that is a list, or one event, by this name. */
const EVENTS = "events";
const BARE = { token: undefined, sentAt: undefined, historical: false };

function eventsOf(list: unknown[], path: string): JsonObject[] {
  const at = list.findIndex((item) => !isObject(item));
  if (at !== -1) throw new ParseError(`${path}[${at}] must be an object`, `${path}[${at}]`);
  return list as JsonObject[];
}

function isHistorical(batch: JsonObject): boolean {
  const flag = batch.historical_migration ?? false;
  if (typeof flag !== "boolean") throw new ParseError("historical_migration must be a boolean", "historical_migration");
  return flag;
}

/** `unnamed`: the name of an event that has none; null where that is an error. */
export function envelopeOf(payload: Payload, unnamed: string | null, context: CaptureContext): Envelope {
  const sentAtMs = sentAtOf(payload, context);
  return {
    nowMs: context.nowMs,
    receivedAt: formatTimestamp(context.nowMs),
    sentAtMs,
    sentAt: sentAtMs === null ? undefined : formatTimestamp(sentAtMs),
    historical: payload.historical,
    unnamed,
    client: context.client,
    source: SOURCE,
    nestingLevels: context.limits.nestingLevels,
    mintUuid: context.mintUuid,
  };
}

const INTEGER = /^\d{1,15}$/;
/** A number of the query counts from here on: seconds, which old clients send, lie before it. */
const QUERY_FROM_MS = Date.UTC(2021, 0, 1);
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** When the client says that it sent the request: the batch's own word, else the query's. What cannot be read is not said. */
function sentAtOf(payload: Payload, context: CaptureContext): number | null {
  if (typeof payload.sentAt === "string") {
    const ms = parseTimestamp(payload.sentAt);
    if (ms !== null && ms >= 0 && ms <= LAST_MS) return ms;
  }
  const text = queryValue(context.query, "sent_at") ?? queryValue(context.query, "_");
  if (text === undefined || !INTEGER.test(text)) return null;
  const ms = Number(text);
  return ms >= QUERY_FROM_MS && ms <= LAST_MS ? ms : null;
}

/** Before the token is looked at: a body that is no event at all says so. */
export function requireNames({ events, list }: Payload): void {
  const index = events.findIndex((raw) => raw.event == null);
  if (index !== -1) throw new MissingEventNameError(pathOf({ list, index }));
}

/** The one token of the request. Throws 401 where there is none, more than one, or one that cannot be. */
export function tokenOf(payload: Payload): string {
  return checkedToken(payload.token ?? tokenOfEvents(payload));
}

const TOKEN_KEYS = ["token", "$token", "api_key"];

function tokenOfEvents({ events, list }: Payload): string {
  let token: string | undefined;
  for (const [index, raw] of events.entries()) {
    const own = stringOf(raw, TOKEN_KEYS, pathOf({ list, index })) ?? tokenOfProperties(raw);
    if (own === undefined) continue;
    if (token !== undefined && token !== own) throw new InconsistentTokensError();
    token = own;
  }
  if (token === undefined) throw new MissingTokenError();
  return token;
}

function tokenOfProperties(raw: JsonObject): string | undefined {
  const token = isObject(raw.properties) ? raw.properties.token : undefined;
  return typeof token === "string" ? token : undefined;
}

/** The first of the keys that the object has. */
function stringOf(object: JsonObject, keys: readonly string[], path: string): string | undefined {
  for (const key of keys) {
    const value = object[key];
    if (value == null) continue;
    if (typeof value !== "string") throw new ParseError(`${path}.${key} must be a string`, `${path}.${key}`);
    return value;
  }
  return undefined;
}
