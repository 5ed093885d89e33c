/** What capture uses of the runtime's zlib. The types of the whole of Node would let code through that no worker can run. */
declare module "node:zlib" {
  export function gunzipSync(bytes: Uint8Array, options: { maxOutputLength: number }): Uint8Array;
}
