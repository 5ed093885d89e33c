import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from "node:zlib";
import { DecodeError, DecompressedTooLargeError } from "../errors.ts";

/** Content encodings by their HTTP names. */
export const ENCODINGS = ["gzip", "deflate", "br", "zstd"] as const;
export type Encoding = (typeof ENCODINGS)[number];

const INFLATERS = {
  gzip: gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
} satisfies Record<Encoding, unknown>;

const NAMES: Record<Encoding, string> = { gzip: "GZIP", deflate: "deflate", br: "brotli", zstd: "zstd" };

/**
 * Throws 413 as soon as more than `maxBytes` have come out, 400 where the bytes are no complete stream of the encoding.
 *
 * Not DecompressionStream: workerd's inflates all that it is given whether or not anybody reads, so that a bomb of 2 MB took 2 GB of
 * memory before its reader had seen 100 MB, with the input in slices of 16 KB. It also knows neither brotli nor zstd.
 */
export function inflate(encoding: Encoding, bytes: Uint8Array, maxBytes: number): Uint8Array {
  const inflater = encoding === "deflate" && !hasZlibHeader(bytes) ? inflateRawSync : INFLATERS[encoding];
  const bomb = encoding === "gzip" && gzipSize(bytes) > maxBytes;
  try {
    return inflater(bytes, { maxOutputLength: bomb ? Math.min(maxBytes, PROBE_BYTES) : maxBytes });
  } catch (error) {
    // Both runtimes throw a RangeError at the cap, with different codes.
    if (error instanceof RangeError) throw new DecompressedTooLargeError(maxBytes);
    throw new DecodeError(`invalid ${NAMES[encoding]} data`, error);
  }
}

/**
 * How far a body is inflated that says of itself that it is too large: enough to tell one that is from one that is cut off. workerd takes twice of what comes out, so a bomb is better not followed to the cap.
 */
const PROBE_BYTES = 1024 * 1024;
const GZIP_TRAILER_BYTES = 4;

/** What the last bytes of a gzip stream say of its size. A lie is found out at the cap. */
function gzipSize(bytes: Uint8Array): number {
  if (bytes.length < GZIP_TRAILER_BYTES) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - GZIP_TRAILER_BYTES, true);
}

/** HTTP's deflate has a zlib header by its RFC, and in practice as often none. The header says 8 and is a multiple of 31. */
function hasZlibHeader(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes;
  return (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
}
