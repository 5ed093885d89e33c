import { canonicalUuid } from "../../../shared/uuid.ts";
import { ENCODINGS, type Encoding } from "../decode/inflate.ts";
import {
  InvalidAuthorizationError,
  InvalidHeaderError,
  MissingAuthorizationError,
  MissingHeadersError,
  UnsupportedContentTypeError,
  UnsupportedEncodingError,
} from "../errors.ts";
import { parseRfc3339 } from "./posthog-time.ts";
import { checkedToken } from "./posthog-token.ts";

/** What a v1 request says in its headers. */
export interface V1Headers {
  token: string;
  /** When the client sent this attempt, by its own clock. */
  sentAtMs: number;
  /** Null where it cannot be told apart; the events then go without. */
  sdk: Sdk | null;
  encoding: Encoding | null;
}

export interface Sdk {
  name: string;
  version: string;
}

const CONTENT_TYPE = "Content-Type";
const SDK_INFO = "PostHog-Sdk-Info";
const ATTEMPT = "PostHog-Attempt";
export const REQUEST_ID = "PostHog-Request-Id";
const REQUEST_TIMESTAMP = "PostHog-Request-Timestamp";
const REQUIRED = [CONTENT_TYPE, "User-Agent", SDK_INFO, ATTEMPT, REQUEST_ID, REQUEST_TIMESTAMP];

const JSON_TYPE = "application/json";
const BEARER = /^bearer +(.+)$/i;
const POSITIVE_INTEGER = /^[1-9]\d{0,9}$/;
const MAX_ATTEMPT = 2 ** 32 - 1;
const MAX_SDK_INFO_LENGTH = 200;

/** Throws 400, 401 or 415. */
export function readHeaders(headers: Headers): V1Headers {
  const authorization = headers.get("authorization");
  if (authorization === null) throw new MissingAuthorizationError();
  const missing = REQUIRED.filter((name) => !headers.get(name));
  if (missing.length > 0) throw new MissingHeadersError(missing);
  const given = (name: string) => headers.get(name) as string;
  const bearer = BEARER.exec(authorization)?.[1];
  if (bearer === undefined) throw new InvalidAuthorizationError();
  const token = checkedToken(bearer);
  if (given(CONTENT_TYPE).split(";", 1)[0]?.trim().toLowerCase() !== JSON_TYPE) {
    throw new UnsupportedContentTypeError(JSON_TYPE);
  }
  const attempt = given(ATTEMPT);
  if (!POSITIVE_INTEGER.test(attempt) || Number(attempt) > MAX_ATTEMPT) {
    throw new InvalidHeaderError(ATTEMPT, "a whole number from 1 on");
  }
  if (canonicalUuid(given(REQUEST_ID)) === null) throw new InvalidHeaderError(REQUEST_ID, "a UUID");
  const sentAtMs = parseRfc3339(given(REQUEST_TIMESTAMP));
  if (sentAtMs === null) throw new InvalidHeaderError(REQUEST_TIMESTAMP, "an RFC 3339 timestamp");
  return { token, sentAtMs, sdk: sdkOf(given(SDK_INFO)), encoding: encodingOf(headers.get("content-encoding")) };
}

/** A name may have slashes of its own, as `posthog/node` could; a version has none. */
function sdkOf(info: string): Sdk | null {
  const slash = info.lastIndexOf("/");
  if (info.length > MAX_SDK_INFO_LENGTH || slash < 1 || slash === info.length - 1) return null;
  return { name: info.slice(0, slash), version: info.slice(slash + 1) };
}

function encodingOf(header: string | null): Encoding | null {
  const name = header?.trim().toLowerCase() ?? "";
  if (name === "" || name === "identity") return null;
  const encoding = ENCODINGS.find((known) => known === name);
  if (encoding === undefined) throw new UnsupportedEncodingError(ENCODINGS);
  return encoding;
}
