/** What capture uses of the runtime's zlib. The types of the whole of Node would let code through that no worker can run. */
declare module "node:zlib" {
  type Inflater = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
  export const gunzipSync: Inflater;
  export const inflateSync: Inflater;
  export const inflateRawSync: Inflater;
  export const brotliDecompressSync: Inflater;
  export const zstdDecompressSync: Inflater;
}
