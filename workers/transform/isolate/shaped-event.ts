import type { ShapedEvent } from "../../../shared/sandbox-api.ts";
import { type Identity, isRecord, OutputError } from "./output.ts";

const { keys } = Object;

const FIELDS = ["url", "headers", "body", "key", "topic"] as const;
const HTTP_URL = /^https?:\/\/[^\s]+$/i;
/** RFC 9110: a token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What `Headers` takes: bytes, none of them ending the line. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

type Request = ShapedEvent["$request"];

/** Does a destination's script shape the request, instead of returning an event? */
export function isShape(output: unknown): output is Record<string, unknown> {
  if (!isRecord(output)) return false;
  const shape = output as Record<string, unknown>;
  if (typeof shape.event === "string") return false;
  for (let i = 0; i < FIELDS.length; i++) if (shape[FIELDS[i] as string] !== undefined) return true;
  return false;
}

/** Only the fields that are known, checked. Throws OutputError, or what getters throw. */
export function asShapedEvent(shape: Record<string, unknown>, { uuid, event, distinct_id }: Identity): ShapedEvent {
  const { url, headers, body, key, topic } = shape;
  const $request: Request = {};
  if (url !== undefined) $request.url = checked(url, "url", "an http(s) address", isHttpUrl);
  if (headers !== undefined) $request.headers = headersOf(headers);
  if (body !== undefined) $request.body = checked(body, "body", "text, or something that JSON can hold", isBody);
  if (key !== undefined) $request.key = checked(key, "key", "a text or null", isTextOrNull);
  if (topic !== undefined) $request.topic = checked(topic, "topic", "a text that is not empty", isText);
  return { uuid, event, distinct_id, $request };
}

function headersOf(value: unknown): Record<string, string> {
  const headers: Record<string, string> = {};
  if (!isRecord(value)) throw fieldError("headers", "an object of texts");
  const record = value as Record<string, unknown>;
  for (const name of keys(record)) {
    const text = record[name];
    if (!HEADER_NAME.test(name)) throw fieldError("headers", "an object of texts: a name holds what no header may");
    if (typeof text !== "string" || !HEADER_VALUE.test(text)) {
      throw fieldError("headers", `an object of texts: "${name}" is no text that a header may hold`);
    }
    headers[name] = text;
  }
  return headers;
}

function checked<T>(value: unknown, field: string, expected: string, test: (value: unknown) => value is T): T {
  if (!test(value)) throw fieldError(field, expected);
  return value;
}

function isHttpUrl(value: unknown): value is string {
  return typeof value === "string" && HTTP_URL.test(value);
}

function isBody(value: unknown): value is unknown {
  return typeof value !== "function" && typeof value !== "symbol" && typeof value !== "bigint";
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function fieldError(field: string, expected: string): OutputError {
  return new OutputError(`returned a request whose "${field}" is not ${expected}`);
}
