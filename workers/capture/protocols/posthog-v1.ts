import type { AppError } from "../../../shared/errors.ts";
import type { Event } from "../../../shared/event.ts";
import { formatTimestamp } from "../../../shared/timestamp.ts";
import { canonicalUuid } from "../../../shared/uuid.ts";
import { decodeUtf8, readBody } from "../decode/body.ts";
import { inflate } from "../decode/inflate.ts";
import { parseJson } from "../decode/json.ts";
import { inflatedLimit } from "../decode/limits.ts";
import { encodeEvents } from "../encode.ts";
import { EmptyPayloadError, NestingError, QuotaExceededError, TooLargeError } from "../errors.ts";
import { isQuotaReason } from "../quota/resource.ts";
import type { Reason } from "../rules.ts";
import { INTERNAL } from "./posthog-event.ts";
import { parseBatch, type V1Batch } from "./posthog-v1-batch.ts";
import { dropped, type Outcome, outcomeOf, type V1Envelope } from "./posthog-v1-event.ts";
import { REQUEST_ID, readHeaders, type V1Headers } from "./posthog-v1-headers.ts";
import type { CaptureContext, Decoded, Protocol } from "./protocol.ts";

interface V1Decoded extends Decoded {
  /** Of every event of the request, in its order. */
  outcomes: readonly Outcome[];
}

/** PostHog's newer endpoint: the token in a header, one answer for each event, and no event that refuses the others. */
export const posthogV1: Protocol<V1Decoded> = {
  name: "posthog-v1",
  kind: "posthog",
  routes: [{ method: "POST", path: "/i/v1/analytics/events" }],

  async decode(request, context) {
    const headers = readHeaders(request.headers);
    const batch = parseBatch(parseJson(await readText(request, headers, context), context.limits));
    const envelope = envelopeOf(batch, headers, context);
    return decodedOf(
      headers.token,
      batch.events.map((raw) => outcomeOf(raw, envelope)),
    );
  },

  salvage({ token, outcomes }, { limits }) {
    return decodedOf(
      token,
      outcomes.map((outcome) => {
        const reason = outcome.event === null ? null : refusalOf(outcome.event, limits);
        return reason === null ? outcome : dropped(outcome, reason);
      }),
    );
  },

  without({ token, outcomes }, refused) {
    const rest = decodedOf(
      token,
      outcomes.map((outcome) => {
        const reason = outcome.event === null ? undefined : refused.get(outcome.event);
        return reason === undefined ? outcome : dropped(outcome, DROPS[reason] ?? RESTRICTION_DROP);
      }),
    );
    if (rest.events.length === 0 && [...refused.values()].every(isQuotaReason)) throw new QuotaExceededError();
    return rest;
  },

  success({ outcomes }, request, context) {
    const results = Object.fromEntries(
      outcomes.map(({ uuidText, result, details }) => [
        uuidText,
        details === undefined ? { result } : { result, details },
      ]),
    );
    return answer(200, { results }, request, context);
  },

  failure(error, request, context) {
    const code = CODES[error.code] ?? error.code;
    const body = { error: code, error_description: error.message, error_uri: `urn:headwater:error:${code}` };
    const response = answer(error.status, body, request, context);
    const again = error.retryAfterS ?? (error.status >= 500 ? DEFAULT_RETRY_AFTER_S : undefined);
    if (again !== undefined) response.headers.set("retry-after", String(again));
    return response;
  },
};

const DEFAULT_RETRY_AFTER_S = 1;
/** What v1's SDKs know of an event that the other side does not want. */
const RESTRICTION_DROP = "event_restriction_drop";
/** What they know of one that is over quota beside others that are not. The last two are ours: PostHog's v1 never says so of one event. */
const DROPS: Partial<Record<Reason, string>> = {
  "quota:exceptions": "exceptions_over_quota",
  "quota:surveys": "survey_responses_over_quota",
  "quota:llm_events": "llm_events_over_quota",
  "quota:events": "events_over_quota",
  "quota:recordings": "recordings_over_quota",
};

/** What v1 calls an error that other protocols have too. */
const CODES: Record<AppError["code"], string> = {
  empty_payload: "empty_body",
  undecodable_body: "request_decoding_error",
  unparsable_body: "request_parsing_error",
  invalid_token: "invalid_api_token",
  unknown_token: "invalid_api_token",
  too_large: "payload_too_large",
  stalled_upload: "body_read_timeout",
  transient: "service_unavailable",
};

async function readText(request: Request, { encoding }: V1Headers, { limits }: CaptureContext): Promise<string> {
  const raw = await readBody(request, limits.v1WireBytes);
  if (raw.length === 0) throw new EmptyPayloadError();
  return decodeUtf8(encoding === null ? raw : await inflate(encoding, raw, inflatedLimit(raw.length, limits)));
}

function envelopeOf(batch: V1Batch, { sentAtMs, sdk }: V1Headers, { nowMs, client }: CaptureContext): V1Envelope {
  return {
    nowMs,
    receivedAt: formatTimestamp(nowMs),
    sentAtMs,
    sentAt: formatTimestamp(sentAtMs),
    historical: batch.historical,
    client: batch.internal ? INTERNAL : client,
    sdk,
  };
}

function decodedOf(token: string, outcomes: readonly Outcome[]): V1Decoded {
  const events: Event[] = [];
  for (const { event } of outcomes) if (event !== null) events.push(event);
  return { token, events, outcomes };
}

/** Why an event cannot be stored; null where it can. */
function refusalOf(event: Event, limits: CaptureContext["limits"]): string | null {
  try {
    encodeEvents([event], limits);
    return null;
  } catch (error) {
    if (error instanceof TooLargeError) return "event_too_big";
    if (error instanceof NestingError) return "serialization_failed";
    throw error;
  }
}

function answer(status: number, body: object, request: Request, { nowMs }: CaptureContext): Response {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    date: new Date(nowMs).toUTCString(),
  };
  const id = request.headers.get(REQUEST_ID);
  // Another value may be one that cannot be a header again.
  if (id !== null && canonicalUuid(id) !== null) headers[REQUEST_ID] = id;
  return new Response(JSON.stringify(body), { status, headers });
}
