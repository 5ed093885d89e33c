/** What capture uses of the runtime's zlib. The types of the whole of Node would let code through that no worker can run. */
declare module "node:zlib" {
  type InflateNow = (bytes: Uint8Array, options: { maxOutputLength: number; chunkSize?: number }) => Uint8Array;
  export const gunzipSync: InflateNow;
  export const inflateSync: InflateNow;
  export const inflateRawSync: InflateNow;
  export const brotliDecompressSync: InflateNow;
  export const zstdDecompressSync: InflateNow;

  interface Inflater {
    on(event: "data", listener: (chunk: Uint8Array) => void): this;
    on(event: "end", listener: () => void): this;
    on(event: "error", listener: (error: unknown) => void): this;
    end(bytes: Uint8Array): void;
    destroy(): void;
  }
  type CreateInflater = (options: { chunkSize: number }) => Inflater;
  export const createGunzip: CreateInflater;
  export const createInflate: CreateInflater;
  export const createInflateRaw: CreateInflater;
  export const createBrotliDecompress: CreateInflater;
  export const createZstdDecompress: CreateInflater;
}
