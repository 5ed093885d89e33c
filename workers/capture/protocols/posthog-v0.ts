import type { AppError } from "../../../shared/errors.ts";
import type { Event } from "../../../shared/event.ts";
import { parseJson } from "../decode/json.ts";
import { EmptyBatchError } from "../errors.ts";
import type { JsonObject } from "./json-object.ts";
import { envelopeOf, type Payload, payloadOf, requireNames, SOURCE, tokenOf } from "./posthog-batch.ts";
import { type Envelope, normaliseEvent, type Position } from "./posthog-event.ts";
import { splitHeatmap } from "./posthog-heatmap.ts";
import { readPayload } from "./posthog-payload.ts";
import { recordingOf, splitRecording } from "./posthog-recording.ts";
import { type CaptureContext, type Decoded, type Protocol, queryValue, type Route } from "./protocol.ts";

/** Sets a person's properties; its events need no name and get this one. */
const ENGAGE = "/engage";
const ENGAGE_EVENT = "$identify";
/** Session recordings. */
const RECORDINGS = "/s";
/** What the SDKs of years ago were given. */
const LEGACY_PATHS = ["/e", "/capture", "/track", ENGAGE];
const OK = '{"status":"Ok"}';
const OK_LIMITED = '{"status":"Ok","quota_limited":["recordings"]}';
const PATHS = [...LEGACY_PATHS, "/batch", "/i/v0/e", RECORDINGS];
/** posthog-node sends its `$ai_*` events here, in the form of any other batch. */
const AI_BATCH = "/i/v0/ai/batch";

interface V0Decoded extends Decoded {
  /** The request was a recording, and is over quota. */
  recordingLimited?: boolean;
}

/** What PostHog's SDKs have always sent: JSON, one event or many, with the token in the body; answers are plain text or `Ok`. */
export const posthogV0: Protocol<V0Decoded> = {
  name: SOURCE,
  kind: "posthog",
  routes: [
    ...PATHS.flatMap((path): Route[] => [
      { method: "POST", path },
      { method: "GET", path },
      { method: "HEAD", path },
    ]),
    { method: "POST", path: AI_BATCH },
  ],

  async decode(request, context) {
    const { route, limits } = context;
    const wireBytes = route === RECORDINGS ? limits.recordingWireBytes : limits.wireBytes;
    const text = await readPayload(request, context, { wireBytes, legacy: LEGACY_PATHS.includes(route) });
    return decodePayload(payloadOf(parseJson(text, limits)), request, context);
  },

  /** A recording that is too large goes as several, as if it had been sent so. */
  salvage(decoded, { route, limits }) {
    const [recording] = decoded.events;
    const events = route !== RECORDINGS || recording === undefined ? null : splitRecording(recording, limits);
    return events === null ? null : { ...decoded, events };
  },

  without({ token, events }, refused) {
    return {
      token,
      events: events.filter((event) => !refused.has(event)),
      recordingLimited: [...refused.values()].includes("quota:recordings"),
    };
  },

  /**
   * Not 202 or 204, unless asked for: posthog-js sends anything but exactly 200 again. Of quotas nothing is said but on `/s`: what is
   * named there posthog-js stops sending for a while.
   */
  success({ recordingLimited }, _request, context) {
    if (queryValue(context.query, "beacon") === "1") return new Response(null, { status: 204 });
    const limited = context.route === RECORDINGS && recordingLimited === true;
    return new Response(limited ? OK_LIMITED : OK, { headers: { "content-type": "application/json" } });
  },

  failure(error: AppError) {
    const headers: Record<string, string> = { "content-type": "text/plain; charset=utf-8" };
    if (error.retryAfterS !== undefined) headers["retry-after"] = String(error.retryAfterS);
    return new Response(error.message, { status: error.status, headers });
  },
};

function decodePayload(payload: Payload, request: Request, context: CaptureContext): Decoded {
  if (payload.events.length === 0) throw new EmptyBatchError();
  const envelope = envelopeOf(payload, context.route === ENGAGE ? ENGAGE_EVENT : null, context);
  if (envelope.unnamed === null) requireNames(payload);
  const token = tokenOf(payload);
  if (context.route !== RECORDINGS) return { token, events: eventsOf(payload, envelope) };
  return { token, events: [recordingOf(payload, envelope, request.headers.get("user-agent"))] };
}

/** Retired by PostHog; old SDKs still send it, and it is dropped without a word. */
const PERFORMANCE_EVENT = "$performance_event";

function eventsOf(payload: Payload, envelope: Envelope): Event[] {
  const events: Event[] = [];
  const at: Position = { list: payload.list, index: 0 };
  for (; at.index < payload.events.length; at.index++) {
    const raw = payload.events[at.index] as JsonObject;
    if (raw.event === PERFORMANCE_EVENT) continue;
    const event = normaliseEvent(raw, at, envelope);
    events.push(event);
    const heatmap = splitHeatmap(event);
    if (heatmap !== null) events.push(heatmap);
  }
  return events;
}
