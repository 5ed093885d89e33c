import { AppError } from "../../shared/errors.ts";

/**
 * What capture tells a client. The texts are the ones that PostHog's SDKs and their users know; other protocols wrap them in their
 * own form and may go by `code`.
 */
export class EmptyPayloadError extends AppError {
  constructor() {
    super("empty_payload", 400, "request missing data payload");
  }
}

/** The bytes cannot be turned into text: compression, character encoding, an upload that broke off. */
export class DecodeError extends AppError {
  constructor(detail: string, cause?: unknown) {
    super("undecodable_body", 400, `failed to decode request: ${detail}`, { cause });
  }
}

/** The text is not the JSON that the protocol asks for. `field` is the path of the value at fault. */
export class ParseError extends AppError {
  constructor(detail: string, field?: string) {
    super("unparsable_body", 400, `failed to parse request: ${detail}`, field === undefined ? {} : { field });
  }
}

export class NestingError extends ParseError {
  constructor(levels: number) {
    super(`arrays and objects are nested more than ${levels} levels deep`);
  }
}

export class MissingEventNameError extends AppError {
  constructor(field: string) {
    const text = "failed to hydrate events from request: non-engage request missing event name attribute";
    super("missing_event_name", 400, text, { field });
  }
}

export class EmptyEventNameError extends AppError {
  constructor(field: string) {
    super("empty_event_name", 400, "event submitted with an empty event name", { field });
  }
}

export class MissingDistinctIdError extends AppError {
  constructor(field: string) {
    super("missing_distinct_id", 400, "event submitted without a distinct_id", { field });
  }
}

export class InvalidCookielessModeError extends AppError {
  constructor(field: string) {
    super("invalid_cookieless_mode", 400, "event submitted with invalid cookieless mode", { field });
  }
}

export class EmptyBatchError extends AppError {
  constructor() {
    super("empty_batch", 400, "request holds no event");
  }
}

export class MissingTokenError extends AppError {
  constructor() {
    super("missing_token", 401, "event submitted without an api_key");
  }
}

export class InconsistentTokensError extends AppError {
  constructor() {
    super("inconsistent_tokens", 401, "batch submitted with inconsistent api_key values");
  }
}

export class InvalidTokenError extends AppError {
  constructor(reason: "empty" | "too_long" | "not_ascii" | "personal_api_key" | "null_byte") {
    super("invalid_token", 401, `API key is not valid: ${reason}`);
  }
}

export class UnknownTokenError extends AppError {
  constructor() {
    const advice = "no team has this api_key; compare it with the tokens in headwater.json or in the console";
    super("unknown_token", 401, `API key is not valid: unknown (${advice})`);
  }
}

/** `takes`: what the token's source is for. */
export class WrongProtocolError extends AppError {
  constructor(takes: "any" | "posthog" | "segment" | "pixel" | "webhook", source: string | undefined) {
    const what = source === undefined ? "a token of a team takes" : `the source ${source} of this token takes`;
    super("wrong_protocol", 403, `${what} ${TAKEN[takes]}`);
  }
}

const TAKEN = {
  any: "the events of any SDK, and no incoming webhooks: those need a source of their own",
  posthog: "requests of PostHog's SDKs only",
  segment: "requests of Segment's Tracking API only",
  pixel: "pixels only: GET /p/{token}.gif",
  webhook: "incoming webhooks only: POST /w/{token}",
};

/** Browsers do not show it to the page. */
export class OriginError extends AppError {
  constructor(source: string) {
    super("origin_not_allowed", 403, `the source ${source} takes nothing from this origin; allow it in its origins`);
  }
}

/** PostHog's v1 alone answers so, to a batch all of which is over quota: sending it again is of no use today. */
export class QuotaExceededError extends AppError {
  constructor() {
    super("billing_limit_exceeded", 402, "the team's quota is used up; nothing of the batch was stored");
  }
}

export class TooLargeError extends AppError {
  constructor(detail: string) {
    super("too_large", 413, `maximum event size exceeded: ${detail}`);
  }
}

export class DecompressedTooLargeError extends TooLargeError {
  constructor(maxBytes: number) {
    super(`Decompressed payload would exceed ${maxBytes} bytes`);
  }
}

export class StalledUploadError extends AppError {
  constructor() {
    super("stalled_upload", 408, "client stopped sending data", { retryAfterS: 1 });
  }
}

/** `field`: the path of the event at fault. */
export class MissingSnapshotDataError extends AppError {
  constructor(field: string) {
    super("missing_snapshot_data", 400, "replay event submitted without snapshot data", { field });
  }
}

export class MissingSessionIdError extends AppError {
  constructor(field: string) {
    super("missing_session_id", 400, "replay event submitted without session id", { field });
  }
}

export class InvalidSessionIdError extends AppError {
  constructor(field: string) {
    super("invalid_session_id", 400, "replay event has invalid session id", { field });
  }
}

export class MissingAuthorizationError extends AppError {
  constructor() {
    super("missing_authorization", 401, "the Authorization header is missing; it has to be: Bearer <project token>");
  }
}

export class InvalidAuthorizationError extends AppError {
  constructor() {
    super("invalid_token", 401, "the Authorization header has to be: Bearer <project token>");
  }
}

export class MissingHeadersError extends AppError {
  constructor(names: readonly string[]) {
    super("missing_required_headers", 400, `the request lacks these headers: ${names.join(", ")}`);
  }
}

export class InvalidHeaderError extends AppError {
  constructor(name: string, expected: string) {
    super("invalid_header_value", 400, `the header ${name} has to be ${expected}`);
  }
}

export class UnsupportedContentTypeError extends AppError {
  constructor(expected: string) {
    super("unsupported_content_type", 415, `the Content-Type has to be ${expected}`);
  }
}

export class UnsupportedEncodingError extends AppError {
  constructor(expected: readonly string[]) {
    super("unsupported_encoding", 415, `the Content-Encoding has to be one of ${expected.join(", ")}, or absent`);
  }
}

/** Something of the batch itself, not of one of its events. */
export class InvalidBatchError extends AppError {
  constructor(detail: string, field: string) {
    super("invalid_batch", 400, `invalid batch: ${detail}`, { field });
  }
}

/** An event that cannot be named in the answer. */
export class EventUuidError extends AppError {
  constructor(fault: "missing" | "invalid" | "duplicate", field: string) {
    super(`${fault}_event_uuid`, 400, `${field} is ${EVENT_UUID_FAULTS[fault]}`, { field });
  }
}

const EVENT_UUID_FAULTS = {
  missing: "empty",
  invalid: "not a UUID",
  duplicate: "the uuid of another event of the batch",
};

/** The client did nothing wrong and its events are not durable. */
export class TransientError extends AppError {
  constructor(cause: unknown) {
    super("transient", 503, "transient error, please retry", { cause, retryAfterS: 1 });
  }
}
