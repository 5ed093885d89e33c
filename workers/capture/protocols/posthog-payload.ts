import { fromBase64, looksBase64 } from "../decode/base64.ts";
import { type Compression, compressionNamed, decodeUtf8, looksGzipped, readBody } from "../decode/body.ts";
import { looksLikeForm, parseForm, withPluses } from "../decode/form.ts";
import { inflate } from "../decode/inflate.ts";
import { inflatedLimit } from "../decode/limits.ts";
import { decompressLz64 } from "../decode/lz64.ts";
import { DecodeError, EmptyPayloadError } from "../errors.ts";
import { type CaptureContext, queryValue } from "./protocol.ts";

export interface PayloadOptions {
  /** Bytes of the body as it arrives. */
  wireBytes: number;
  /** A path of old SDKs, where a text that is still base64 is decoded once more. */
  legacy: boolean;
}

const FORM_TYPE = "application/x-www-form-urlencoded";
/** Its results are never on shared memory, which its type leaves open. */
const utf8 = new TextEncoder() as { encode(text: string): Uint8Array<ArrayBuffer> };

/**
 * The JSON text of a v0 request, however it is wrapped: `?data=` before the body, then base64, a form, gzip or lz-string, base64 once
 * more. The order is PostHog's, and so is what counts as what: no SDK says all of what it does. Throws 400 or 413.
 */
export async function readPayload(request: Request, context: CaptureContext, options: PayloadOptions): Promise<string> {
  const raw = await rawPayload(request, context, options.wireBytes);
  const asked = compressionNamed(queryValue(context.query, "compression"));
  const header = compressionNamed(request.headers.get("content-encoding"));
  const { bytes, compression } = unwrapForm(request, unwrapBase64(raw, asked ?? header));
  const hint = asked ?? compression ?? header;
  const text = await decompress(bytes, hint, inflatedLimit(bytes.length, context.limits));
  // A path of today decodes base64 only where the client names it.
  return options.legacy || hint === "base64" ? unwrapText(text) : text;
}

async function rawPayload(
  request: Request,
  context: CaptureContext,
  wireBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const data = queryValue(context.query, "data");
  const raw = data ? utf8.encode(withPluses(data)) : await readBody(request, wireBytes);
  if (raw.length === 0) throw new EmptyPayloadError();
  return raw;
}

/** lz-string's output is base64 of its own. */
function unwrapBase64(bytes: Uint8Array<ArrayBuffer>, hint: Compression | null): Uint8Array {
  if (hint === "lz64" || !looksBase64(bytes) || looksLikeForm(bytes)) return bytes;
  return fromBase64(bytes) ?? bytes;
}

interface Unwrapped {
  bytes: Uint8Array;
  /** What the form says of it. */
  compression: Compression | null;
}

/** Browsers add a charset to the type; only the bare type promises a form, and then it has to be one. */
function unwrapForm(request: Request, bytes: Uint8Array): Unwrapped {
  const type = request.headers.get("content-type");
  if (type === null || !type.toLowerCase().startsWith(FORM_TYPE)) return { bytes, compression: null };
  if (!looksLikeForm(bytes)) {
    if (type === FORM_TYPE) throw new DecodeError("expected form data in POST request payload");
    return { bytes, compression: null };
  }
  const { data, compression } = parseForm(bytes);
  if (data === "") throw new EmptyPayloadError();
  return { bytes: utf8.encode(data), compression: compressionNamed(compression) };
}

/** Gzip needs no hint: browsers send it as plain text. */
async function decompress(bytes: Uint8Array, hint: Compression | null, maxBytes: number): Promise<string> {
  if (hint === "gzip" || looksGzipped(bytes)) return decodeUtf8(await inflate("gzip", bytes, maxBytes));
  return hint === "lz64" ? decompressLz64(bytes, maxBytes) : decodeUtf8(bytes);
}

/** JSON begins with a bracket, so nearly every text ends here at its first character. */
function unwrapText(text: string): string {
  if (text.startsWith("{") || text.startsWith("[")) return text;
  const bytes = utf8.encode(text);
  const decoded = looksBase64(bytes) ? fromBase64(bytes) : null;
  return decoded === null ? text : decodeUtf8(decoded);
}
