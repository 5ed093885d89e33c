import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from "node:zlib";
import { DecodeError, DecompressedTooLargeError } from "../errors.ts";

/** Content encodings by their HTTP names. */
export const ENCODINGS = ["gzip", "deflate", "br", "zstd"] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Pieces in which a body is measured. */
const PIECE_BYTES = 64 * 1024;
/** workerd's brotli goes from one piece to the next without coming back: with more than some hundreds the stack would run out. */
const BROTLI_PIECE_BYTES = 256 * 1024;

/** How to inflate at once, how in pieces, and of which size. */
const CODECS = {
  gzip: [gunzipSync, createGunzip, PIECE_BYTES],
  deflate: [inflateSync, createInflate, PIECE_BYTES],
  "deflate without its header": [inflateRawSync, createInflateRaw, PIECE_BYTES],
  br: [brotliDecompressSync, createBrotliDecompress, BROTLI_PIECE_BYTES],
  zstd: [zstdDecompressSync, createZstdDecompress, PIECE_BYTES],
} as const;
type Codec = (typeof CODECS)[keyof typeof CODECS];

const NAMES: Record<Encoding, string> = { gzip: "GZIP", deflate: "deflate", br: "brotli", zstd: "zstd" };

/**
 * Rejects with 413 where more than `maxBytes` come out, 400 where the bytes are no complete stream of the encoding.
 *
 * What comes out is small nearly always, and then inflated at once. What is not is measured first, in pieces that are thrown away, so
 * that of a bomb nothing is kept: the runtime takes two to three times of what it inflates at once.
 *
 * Not DecompressionStream: workerd's inflates all that it is given whether or not anybody reads, so that a bomb of 2 MB took 2 GB of
 * memory before its reader had seen 100 MB, with the input in slices of 16 KB. It also knows neither brotli nor zstd.
 */
export async function inflate(encoding: Encoding, bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const codec = codecOf(encoding, bytes);
  const declared = encoding === "gzip" ? gzipSize(bytes) : 0;
  try {
    if (declared > maxBytes && tryInflate(codec, bytes, Math.min(PROBE_BYTES, maxBytes)) === null) {
      throw new DecompressedTooLargeError(maxBytes);
    }
    const isSmall = declared <= AT_ONCE_BYTES && bytes.length <= AT_ONCE_WIRE_BYTES;
    const inflated = isSmall ? tryInflate(codec, bytes, Math.min(AT_ONCE_BYTES, maxBytes)) : null;
    if (inflated !== null) return inflated;
    const length = await measure(codec, bytes, maxBytes);
    if (length > maxBytes) throw new DecompressedTooLargeError(maxBytes);
    return codec[0](bytes, { maxOutputLength: maxBytes, chunkSize: Math.max(length, CHUNK_MIN_BYTES) });
  } catch (error) {
    if (error instanceof DecompressedTooLargeError) throw error;
    throw new DecodeError(`invalid ${NAMES[encoding]} data`, error);
  }
}

/** Far above what SDKs send in one request, far below what would matter to an isolate. */
const AT_ONCE_BYTES = 8 * 1024 * 1024;
/** What arrives in more than this is seldom less than that, so it is not tried. */
const AT_ONCE_WIRE_BYTES = 2 * 1024 * 1024;
/** What zlib wants. */
const CHUNK_MIN_BYTES = 64;
/** How far a body is inflated that says of itself that it is too large: enough to tell one that is from one that is cut off. */
const PROBE_BYTES = 1024 * 1024;
/** Null where more than `maxBytes` come out. */
function tryInflate([atOnce]: Codec, bytes: Uint8Array, maxBytes: number): Uint8Array | null {
  try {
    return atOnce(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    // Both runtimes throw a RangeError at the cap, with different codes.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** How many bytes come out; stops at the first piece beyond `maxBytes`. Rejects where the stream is broken. */
function measure([, inPieces, chunkSize]: Codec, bytes: Uint8Array, maxBytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const inflater = inPieces({ chunkSize });
    let length = 0;
    inflater.on("data", (piece) => {
      length += piece.length;
      if (length <= maxBytes) return;
      inflater.destroy();
      resolve(length);
    });
    inflater.on("end", () => resolve(length));
    inflater.on("error", reject);
    inflater.end(bytes);
  });
}

const GZIP_TRAILER_BYTES = 4;

/** What the last bytes of a gzip stream say of its size. A lie is found out at the cap. */
function gzipSize(bytes: Uint8Array): number {
  if (bytes.length < GZIP_TRAILER_BYTES) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - GZIP_TRAILER_BYTES, true);
}

function codecOf(encoding: Encoding, bytes: Uint8Array): Codec {
  return CODECS[encoding === "deflate" && !hasZlibHeader(bytes) ? "deflate without its header" : encoding];
}

/** HTTP's deflate has a zlib header by its RFC, and in practice as often none. The header says 8 and is a multiple of 31. */
function hasZlibHeader(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes;
  return (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
}
