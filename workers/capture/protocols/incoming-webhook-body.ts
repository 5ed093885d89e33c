import { messageOf } from "../../../shared/errors.ts";
import { looksGzipped } from "../decode/body.ts";
import { ENCODINGS, type Encoding, inflate } from "../decode/inflate.ts";
import { parseJson } from "../decode/json.ts";
import { type DecodeLimits, inflatedLimit } from "../decode/limits.ts";
import { NestingError, ParseError, UnsupportedEncodingError } from "../errors.ts";

/** A body as a script reads it. */
export interface WebhookBody {
  /** JSON as its value, a form as an object, anything else as text; null where there is none. */
  body: unknown;
  /** Why `body` is less than what the content type promises: a text that is no JSON, or bytes that are no UTF-8. */
  error?: string;
}

/**
 * What a body holds. A sender cannot mend what it sends, so a body that is not what its type says is kept as the text that it is;
 * only what cannot be unpacked, or is over a limit, is refused. Throws 400, 413 or 415.
 */
export async function readWebhookBody(
  raw: Uint8Array<ArrayBuffer>,
  headers: Headers,
  limits: DecodeLimits,
): Promise<WebhookBody> {
  const bytes = await unpacked(raw, headers.get("content-encoding"), limits);
  if (bytes.length === 0) return { body: null };
  const type = headers.get("content-type") ?? "";
  if (MULTIPART.test(type)) return multipart(bytes, type);
  const { text, error } = decodeLoosely(bytes);
  const flag = error === undefined ? {} : { error };
  if (FORM.test(type)) return { body: grouped(new URLSearchParams(text)), ...flag };
  if (!JSON_TYPE.test(type) && !LIKE_JSON.test(text)) return { body: text, ...flag };
  try {
    return { body: parseJson(text, limits), ...flag };
  } catch (thrown) {
    if (!(thrown instanceof ParseError) || thrown instanceof NestingError) throw thrown;
    return JSON_TYPE.test(type) ? { body: text, error: messageOf(thrown) } : { body: text, ...flag };
  }
}

const JSON_TYPE = /^\s*application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
const FORM = /^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i;
const MULTIPART = /^\s*multipart\/form-data\s*;/i;
/** Some send JSON as text, or without a type. */
const LIKE_JSON = /^\s*[{[]/;

/** Gzip is recognised by its first bytes too. */
async function unpacked(
  raw: Uint8Array<ArrayBuffer>,
  encoding: string | null,
  limits: DecodeLimits,
): Promise<Uint8Array> {
  const name = encoding?.trim().toLowerCase() ?? "";
  const known = ENCODINGS.find((candidate) => candidate === name || `x-${candidate}` === name);
  if (known === undefined && name !== "" && name !== "identity") throw new UnsupportedEncodingError(ENCODINGS);
  const packed: Encoding | undefined = looksGzipped(raw) ? "gzip" : known;
  return packed === undefined || raw.length === 0 ? raw : inflate(packed, raw, inflatedLimit(raw.length, limits));
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
const looseUtf8 = new TextDecoder("utf-8");

function decodeLoosely(bytes: Uint8Array): { text: string; error?: string } {
  try {
    return { text: strictUtf8.decode(bytes) };
  } catch {
    return { text: looseUtf8.decode(bytes), error: "not UTF-8: what could not be read is U+FFFD" };
  }
}

/** Names and their values; a name that comes again has the list of them. `__proto__` is a name like any other. */
export function grouped<T>(pairs: Iterable<[string, T]>): Record<string, T | T[]> {
  const values = new Map<string, T | T[]>();
  for (const [name, value] of pairs) {
    const before = values.get(name);
    if (before === undefined) values.set(name, value);
    else if (Array.isArray(before)) before.push(value);
    else values.set(name, [before, value]);
  }
  return Object.fromEntries(values);
}

interface WebhookFile {
  filename: string;
  content_type: string;
  size: number;
}

/** Of a file no more than what it is: its content may be anything, and an event is no place for it. */
async function multipart(bytes: Uint8Array, type: string): Promise<WebhookBody> {
  let form: FormData;
  try {
    form = await new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { "content-type": type } }).formData();
  } catch (thrown) {
    return { body: looseUtf8.decode(bytes), error: `not multipart/form-data: ${messageOf(thrown)}` };
  }
  const fields: [string, string | WebhookFile][] = [];
  form.forEach((value: string | File, name: string) => {
    fields.push([name, typeof value === "string" ? value : fileOf(value)]);
  });
  return { body: grouped(fields) };
}

function fileOf({ name, type, size }: File): WebhookFile {
  return { filename: name, content_type: type, size };
}
