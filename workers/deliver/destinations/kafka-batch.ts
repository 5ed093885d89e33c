import { crc32c } from "./crc32c.ts";
import type { KafkaRecord } from "./kafka-record.ts";

export type BatchRecord = Pick<KafkaRecord, "key" | "value" | "headers">;

export interface BatchOptions {
  /** Of every record, ms since the epoch: when it is handed to Kafka. */
  timestamp: number;
  gzip: boolean;
}

/** Record batch of format 2, the only one that Kafka 4 takes. */
const MAGIC = 2;
const GZIP_ATTRIBUTE = 1;
/** Up to and with the batch's length: what the length does not count. */
const LENGTH_END = 12;
/** Where the bytes that the checksum covers begin. */
const CHECKED_FROM = 21;
const HEADER_BYTES = 61;
const MAX_VARINT_BYTES = 5;
/** UTF-16 units become at most so many bytes each. */
const MAX_UNIT_BYTES = 3;

const encoder = new TextEncoder();

/**
 * One partition's records as Kafka stores them. kafkajs's own encoder makes several buffers a record and counts every text's bytes
 * three times: at the sizes of events that costs more than all the rest of a send.
 */
export async function encodeBatch(records: readonly BatchRecord[], options: BatchOptions): Promise<Uint8Array> {
  const writer = new BatchWriter(HEADER_BYTES);
  for (const [offset, record] of records.entries()) writer.record(record, offset);
  if (!options.gzip) return withHeader(writer.written(), records.length, options);
  const packed = await gzip(writer.written().subarray(HEADER_BYTES));
  const batch = new Uint8Array(HEADER_BYTES + packed.length);
  batch.set(packed, HEADER_BYTES);
  return withHeader(batch, records.length, options);
}

/** Fills in what comes before the records. Neither idempotent nor of a transaction: producer id, epoch and sequence are -1. */
function withHeader(batch: Uint8Array, count: number, { timestamp, gzip }: BatchOptions): Uint8Array {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  view.setInt32(8, batch.length - LENGTH_END);
  view.setInt32(12, -1);
  view.setInt8(16, MAGIC);
  view.setInt16(21, gzip ? GZIP_ATTRIBUTE : 0);
  view.setInt32(23, count - 1);
  view.setBigInt64(27, BigInt(timestamp));
  view.setBigInt64(35, BigInt(timestamp));
  view.setBigInt64(43, -1n);
  view.setInt16(51, -1);
  view.setInt32(53, -1);
  view.setInt32(57, count);
  view.setUint32(17, crc32c(batch.subarray(CHECKED_FROM)));
  return batch;
}

async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const packed = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

class BatchWriter {
  #bytes = new Uint8Array(64 * 1_024);
  #at: number;

  constructor(from: number) {
    this.#at = from;
  }

  record({ key, value, headers }: BatchRecord, offset: number): void {
    const lengthAt = this.#at;
    this.#room(4 * MAX_VARINT_BYTES);
    // The length stands before what it counts: room for the longest, closed up afterwards.
    this.#at += MAX_VARINT_BYTES;
    const from = this.#at;
    this.#bytes[this.#at++] = 0; // Attributes: none.
    this.#varint(0); // Time since the batch's.
    this.#varint(offset);
    if (key === null) this.#varint(-1);
    else this.#text(key);
    this.#text(value);
    this.#room(MAX_VARINT_BYTES);
    this.#varint(headers.length);
    for (const [name, text] of headers) {
      this.#text(name);
      this.#text(text);
    }
    const [end, length] = [this.#at, this.#at - from];
    this.#at = lengthAt;
    this.#varint(length);
    this.#bytes.copyWithin(this.#at, from, end);
    this.#at += length;
  }

  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  /** A text behind its length in bytes, which is most often its length in units. */
  #text(text: string): void {
    this.#room(MAX_VARINT_BYTES + text.length * MAX_UNIT_BYTES);
    const guess = this.#at + varintBytes(text.length);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(guess));
    this.#varint(written);
    if (this.#at !== guess) this.#bytes.copyWithin(this.#at, guess, guess + written);
    this.#at += written;
  }

  /** Zigzag: small numbers of either sign are short. The caller has made room. */
  #varint(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

/** Of a length: not negative. */
function varintBytes(length: number): number {
  let bytes = 1;
  for (let rest = length >>> 6; rest > 0; rest >>>= 7) bytes++;
  return bytes;
}
