/** What the project uses of the runtime's crypto beside Web Crypto. The types of the whole of Node would let code through that no worker can run. */
declare module "node:crypto" {
  interface Hash {
    update(data: Uint8Array | string): Hash;
    digest(): Uint8Array<ArrayBuffer>;
  }
  export function createHash(algorithm: "sha1"): Hash;
}
