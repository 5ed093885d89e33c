import { DecodeError, EmptyPayloadError, TooLargeError } from "../errors.ts";
import { inflate } from "./inflate.ts";
import { type DecodeLimits, inflatedLimit } from "./limits.ts";
import { readStream } from "./read-stream.ts";

export type Compression = "gzip" | "lz64" | "base64";

const GZIP_MAGIC = [0x1f, 0x8b, 0x08];
const NAMES = new Map<string, Compression>([
  ["gzip", "gzip"],
  ["gzip-js", "gzip"],
  ["lz64", "lz64"],
  ["lz-string", "lz64"],
  ["base64", "base64"],
  ["b64", "base64"],
]);

/**
 * A body over its cap is read and thrown away up to this many times the cap, because a client that is still sending when the
 * connection closes sees a broken pipe instead of the 413 that tells it to send smaller batches.
 */
const DRAIN_FACTOR = 2;

/** Up to here a body is read whole, which is quicker and takes twice its size. */
const SMALL_BYTES = 256 * 1024;

const CONTENT_LENGTH = /^\d{1,15}$/;

/** A name that says nothing is no error: such a body is taken as it is. */
export function compressionNamed(name: string | null | undefined): Compression | null {
  return name == null ? null : (NAMES.get(name.trim().toLowerCase()) ?? null);
}

/** The request's body as text. Gzip is recognised by `hint` or by its first bytes. Throws 400 or 413. */
export async function decodeBody(request: Request, hint: Compression | null, limits: DecodeLimits): Promise<string> {
  const raw = await readBody(request, limits.wireBytes);
  if (raw.length === 0) throw new EmptyPayloadError();
  const plain =
    hint === "gzip" || looksGzipped(raw) ? await inflate("gzip", raw, inflatedLimit(raw.length, limits)) : raw;
  return decodeUtf8(plain);
}

/** The body as it arrives. Stops keeping bytes at the cap, whatever the headers promised. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const declared = declaredLength(request);
  if (declared !== null && declared > maxBytes * DRAIN_FACTOR) throw bodyTooLarge(maxBytes);
  try {
    const bytes =
      declared !== null && declared <= SMALL_BYTES
        ? new Uint8Array(await request.arrayBuffer())
        : await readLarge(request, declared, maxBytes);
    if (bytes === null || bytes.length > maxBytes) throw bodyTooLarge(maxBytes);
    return bytes;
  } catch (error) {
    if (error instanceof TooLargeError) throw error;
    throw new DecodeError("the body ended before it was complete", error);
  }
}

function declaredLength(request: Request): number | null {
  const header = request.headers.get("content-length");
  return header !== null && CONTENT_LENGTH.test(header) ? Number(header) : null;
}

async function readLarge(request: Request, declared: number | null, maxBytes: number) {
  if (request.body === null) return new Uint8Array(0);
  return readStream(request.body, declared, maxBytes, maxBytes * DRAIN_FACTOR);
}

function bodyTooLarge(maxBytes: number): TooLargeError {
  return new TooLargeError(`the request body is larger than ${maxBytes} bytes`);
}

export function looksGzipped(bytes: Uint8Array): boolean {
  return GZIP_MAGIC.every((byte, at) => bytes[at] === byte);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

/** Throws DecodeError. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw new DecodeError("invalid UTF8 in request payload", error);
  }
}
