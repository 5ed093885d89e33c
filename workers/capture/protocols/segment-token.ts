import { isObject } from "./json-object.ts";
import { checkedToken } from "./posthog-token.ts";
import { type Query, queryValue } from "./protocol.ts";
import { InvalidMessageError, MissingWriteKeyError } from "./segment-errors.ts";

const SCHEME = /^(basic|bearer)\s+(\S+)\s*$/i;

/**
 * The write key, from where it says most about who is sending: the header (Segment's and RudderStack's SDKs: Basic with an empty
 * password; Jitsu's: X-Write-Key), the query (RudderStack's beacon, which can set no header), the body, the first message that has
 * one. Throws 401 where there is none or it cannot be one, 400 where it is no text.
 */
export function writeKeyOf(headers: Headers, query: Query, body: Record<string, unknown>): string {
  const given = keyOfHeaders(headers) ?? nonEmpty(queryValue(query, "writeKey")) ?? keyOfBody(body);
  if (given === undefined) throw new MissingWriteKeyError();
  return checkedToken(given);
}

function keyOfHeaders(headers: Headers): string | undefined {
  const match = SCHEME.exec(headers.get("authorization") ?? "");
  if (match === null) return nonEmpty(headers.get("x-write-key"));
  const [, scheme = "", credentials = ""] = match;
  return scheme.toLowerCase() === "bearer" ? credentials : nonEmpty(userName(credentials));
}

/** What stands before the first colon; credentials that are no base64 name nobody. */
function userName(base64: string): string | undefined {
  try {
    return atob(base64).split(":", 1)[0];
  } catch {
    return undefined;
  }
}

function keyOfBody(body: Record<string, unknown>): string | undefined {
  const own = textOf(body.writeKey, "writeKey");
  if (own !== undefined || !Array.isArray(body.batch)) return own;
  const index = body.batch.findIndex((message) => isObject(message) && message.writeKey != null);
  return index === -1 ? undefined : textOf(body.batch[index].writeKey, `batch[${index}].writeKey`);
}

function textOf(value: unknown, field: string): string | undefined {
  if (value == null) return undefined;
  if (typeof value !== "string") throw new InvalidMessageError(field, "must be a string");
  return nonEmpty(value);
}

function nonEmpty(text: string | null | undefined): string | undefined {
  return text == null || text === "" ? undefined : text;
}
