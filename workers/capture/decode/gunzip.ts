import { DecodeError, TooLargeError } from "../errors.ts";
import { concat } from "./concat.ts";

/**
 * Compressed bytes are fed in slices of this size: a runtime may inflate all that it is given before anybody can look at the length
 * of what came out, and deflate expands at most about a thousandfold.
 */
const SLICE_BYTES = 16 * 1024;
const DEFLATE_MAX_RATIO = 1032;

/** Throws 413 as soon as more than `maxBytes` have come out, 400 where the bytes are no complete gzip stream. */
export async function gunzip(bytes: Uint8Array<ArrayBuffer>, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new DecompressionStream("gzip");
  // The reader meets every failure of the stream too and reports it.
  feed(writable, bytes).catch(() => undefined);
  try {
    if (bytes.length * DEFLATE_MAX_RATIO > maxBytes) return await collect(readable, maxBytes);
    return new Uint8Array(await new Response(readable).arrayBuffer());
  } catch (error) {
    if (error instanceof TooLargeError) throw error;
    throw new DecodeError("invalid GZIP data", error);
  }
}

async function feed(writable: WritableStream<Uint8Array<ArrayBuffer>>, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const writer = writable.getWriter();
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) await writer.write(bytes.subarray(at, at + SLICE_BYTES));
  await writer.close();
}

async function collect(readable: ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const reader = readable.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    length += next.value.length;
    if (length > maxBytes) {
      await reader.cancel();
      throw new TooLargeError(`the decompressed payload is larger than ${maxBytes} bytes`);
    }
    chunks.push(next.value);
  }
  return concat(chunks, length);
}
