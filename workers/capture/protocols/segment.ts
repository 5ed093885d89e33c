import type { AppError } from "../../../shared/errors.ts";
import type { Event } from "../../../shared/event.ts";
import { MESSAGE_TYPES, type MessageType } from "../../../shared/segment-names.ts";
import { formatTimestamp, parseTimestamp } from "../../../shared/timestamp.ts";
import { compressionNamed, decodeBody } from "../decode/body.ts";
import { parseJson } from "../decode/json.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import { EmptyBatchError, ParseError } from "../errors.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import type { CaptureContext, Decoded, Protocol, Route } from "./protocol.ts";
import { InvalidMessageError, TooManyMessagesError } from "./segment-errors.ts";
import { pathOf, type SegmentEnvelope, segmentEvent } from "./segment-event.ts";
import { writeKeyOf } from "./segment-token.ts";

/**
 * Bytes of a request, plain or inflated: RudderStack's cap, the larger of the two. Segment's own (500 KB a batch, 32 KB an event) are
 * kept by Segment's SDKs before they send; held against RudderStack's, which speak at the same paths, they would lose events.
 */
const REQUEST_BYTES = 4 * 1024 * 1024;
/** Segment's. RudderStack has none, and its SDKs stay far below. */
const MESSAGES_COUNT = 2_500;

const SHORT_TYPES: Record<string, MessageType> = {
  t: "track",
  i: "identify",
  p: "page",
  s: "screen",
  g: "group",
  a: "alias",
};
/** Jitsu's for servers have the same messages. */
const JITSU_FOLDERS = ["/api/s", "/api/s/s2s"];

/** The type of the one message at a path; the other paths take batches. */
const TYPES = new Map<string, MessageType>([
  ...MESSAGE_TYPES.map((type) => [`/v1/${type}`, type] as const),
  ...Object.entries(SHORT_TYPES).map(([short, type]) => [`/v1/${short}`, type] as const),
  ...JITSU_FOLDERS.flatMap((folder) => MESSAGE_TYPES.map((type) => [`${folder}/${type}`, type] as const)),
]);
/** RudderStack's browser SDK sends its last batch to the one for beacons. */
const BATCH_PATHS = ["/v1/batch", "/v1/b", "/beacon/v1/batch"];

/** Batches first: routes are tried in order, and most requests are batches. */
const ROUTES: Route[] = [...BATCH_PATHS, ...TYPES.keys()].map((path) => ({ method: "POST", path }));

/** Segment's Tracking API, which the SDKs of Segment, RudderStack and Jitsu speak. Answers are JSON. */
export const segment: Protocol = {
  name: "segment",
  kind: "segment",
  routes: ROUTES,

  async decode(request, context) {
    const limits = limitsOf(context.limits);
    const hint = compressionNamed(request.headers.get("content-encoding"));
    const body = parseJson(await decodeBody(request, hint, limits), limits);
    if (!isObject(body)) throw new ParseError("expected an object");
    const token = writeKeyOf(request.headers, context.query, body);
    return { token, events: eventsOf(body, context) };
  },

  success() {
    return new Response('{"success":true}', { headers: { "content-type": "application/json" } });
  },

  failure(error: AppError) {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (error.retryAfterS !== undefined) headers["retry-after"] = String(error.retryAfterS);
    const { code, message, field } = error;
    return new Response(JSON.stringify({ success: false, code, message, field }), { status: error.status, headers });
  },
};

function limitsOf(limits: DecodeLimits): DecodeLimits {
  return {
    ...limits,
    wireBytes: Math.min(limits.wireBytes, REQUEST_BYTES),
    decompressedBytes: Math.min(limits.decompressedBytes, REQUEST_BYTES),
  };
}

function eventsOf(body: JsonObject, context: CaptureContext): Decoded["events"] {
  const type = TYPES.get(context.route);
  if (type !== undefined) return [segmentEvent(body, type, null, envelopeOf(body, false, context))];
  const { batch } = body;
  if (!Array.isArray(batch)) throw new InvalidMessageError("batch", "must be a list of messages");
  if (batch.length === 0) throw new EmptyBatchError();
  if (batch.length > MESSAGES_COUNT) throw new TooManyMessagesError(batch.length, MESSAGES_COUNT);
  const envelope = envelopeOf(body, true, context);
  const events = new Array<Event>(batch.length);
  for (let i = 0; i < batch.length; i++) {
    const message: unknown = batch[i];
    if (!isObject(message)) throw new InvalidMessageError(pathOf(i), "must be an object");
    events[i] = segmentEvent(message, typeOf(message, i), i, envelope);
  }
  return events;
}

function typeOf({ type: given }: JsonObject, index: number): MessageType {
  const type = MESSAGE_TYPES.find((known) => known === given);
  if (type !== undefined) return type;
  throw new InvalidMessageError(`${pathOf(index)}.type`, `must be one of ${MESSAGE_TYPES.join(", ")}`);
}

/** A message alone has its own context, which is no default for it. */
function envelopeOf(body: JsonObject, isBatch: boolean, context: CaptureContext): SegmentEnvelope {
  const sentAtMs = sentAtOf(body);
  if (isBatch && body.context != null && !isObject(body.context)) {
    throw new InvalidMessageError("context", "must be an object");
  }
  return {
    nowMs: context.nowMs,
    receivedAt: formatTimestamp(context.nowMs),
    sentAtMs,
    sentAt: sentAtMs === null ? undefined : formatTimestamp(sentAtMs),
    context: isBatch && isObject(body.context) ? body.context : undefined,
    integrations: isBatch ? body.integrations : undefined,
    client: context.client,
    source: segment.name,
    nestingLevels: context.limits.nestingLevels,
    mintUuid: context.mintUuid,
  };
}

const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** What cannot be read is not said. */
function sentAtOf({ sentAt }: JsonObject): number | null {
  const ms = typeof sentAt === "string" ? parseTimestamp(sentAt) : null;
  return ms !== null && ms >= 0 && ms <= LAST_MS ? ms : null;
}
