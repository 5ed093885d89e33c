/** What of node:buffer is used, for code that is typed against the Workers runtime. */
declare module "node:buffer" {
  export class Buffer extends Uint8Array<ArrayBuffer> {
    static alloc(size: number): Buffer;
    static from(buffer: ArrayBufferLike, byteOffset: number, length: number): Buffer;
    /** Each returns where the next one goes. */
    writeInt16BE(value: number, offset: number): number;
    writeInt32BE(value: number, offset: number): number;
  }
}
