/** What of kafkajs's reading half the test brokers use. */

declare module "kafkajs/src/protocol/decoder.js" {
  export default class Decoder {
    constructor(bytes: Uint8Array);
    readInt16(): number;
    readInt32(): number;
    readString(): string;
    readBytes(): Buffer;
    readArray<Item>(read: (decoder: Decoder) => Item): Item[];
  }
}

declare module "kafkajs/src/protocol/recordBatch/v0/decoder.js" {
  import type Decoder from "kafkajs/src/protocol/decoder.js";

  interface DecodedRecord {
    key: Buffer | null;
    value: Buffer;
    headers: Record<string, Buffer>;
    timestamp: string;
  }
  export default function decodeBatch(decoder: Decoder): Promise<{ records: DecodedRecord[] }>;
}
