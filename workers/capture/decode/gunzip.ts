import { gunzipSync } from "node:zlib";
import { DecodeError, TooLargeError } from "../errors.ts";

/**
 * Throws 413 as soon as more than `maxBytes` have come out, 400 where the bytes are no complete gzip stream.
 *
 * Not DecompressionStream: workerd's inflates all that it is given whether or not anybody reads, so that a bomb of 2 MB took 2 GB of
 * memory before its reader had seen 100 MB, with the input in slices of 16 KB.
 */
export function gunzip(bytes: Uint8Array, maxBytes: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    // Both runtimes throw a RangeError at the cap, with different codes.
    if (error instanceof RangeError) {
      throw new TooLargeError(`the decompressed payload is larger than ${maxBytes} bytes`);
    }
    throw new DecodeError("invalid GZIP data", error);
  }
}
