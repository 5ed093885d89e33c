import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import Decoder from "kafkajs/src/protocol/decoder.js";
import decodeBatch from "kafkajs/src/protocol/recordBatch/v0/decoder.js";

/**
 * As much of Kafka's protocol as a producer meets, answered as a test says: no broker. It keeps what it says that it has written.
 * Partition p is led by broker p modulo their number.
 */
export interface KafkaBrokersOptions {
  brokers?: number;
  /** Partitions of the topics that are there. */
  topics?: Record<string, number>;
  /** The code for a batch, 0 for written. "hang" never answers the request, "drop" closes the connection. */
  produce?: (batch: ProducedBatch) => number | "hang" | "drop";
  /** Whether a broker answers at all; connections are taken all the same. */
  answers?: (broker: number) => boolean;
  /** The code of a topic's metadata. */
  metadata?: (topic: string) => number;
}

export interface ProducedBatch {
  topic: string;
  partition: number;
  broker: number;
  bytes: number;
  records: ProducedRecord[];
}

export interface ProducedRecord {
  key: string | null;
  value: string;
  headers: Record<string, string>;
  timestamp: string;
}

const [PRODUCE, METADATA, API_VERSIONS] = [0, 3, 18];
const VERSIONS: [number, number][] = [
  [PRODUCE, 7],
  [METADATA, 6],
  [API_VERSIONS, 2],
];
const UNKNOWN_TOPIC = 3;

export class KafkaBrokers {
  /** host:port each. */
  readonly addresses: string[] = [];
  readonly written: ProducedBatch[] = [];
  /** Names of requests in the order in which they came, and "connect". */
  readonly calls: string[] = [];
  readonly options: KafkaBrokersOptions;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  static async start(options: KafkaBrokersOptions = {}): Promise<KafkaBrokers> {
    const brokers = new KafkaBrokers(options);
    for (let id = 0; id < (options.brokers ?? 1); id++) await brokers.#listen(id);
    return brokers;
  }

  private constructor(options: KafkaBrokersOptions) {
    this.options = options;
  }

  /** A topic's records by partition, in the order in which they were written. */
  records(topic: string): Map<number, ProducedRecord[]> {
    const byPartition = new Map<number, ProducedRecord[]>();
    for (const { topic: name, partition, records } of this.written) {
      if (name === topic) byPartition.set(partition, [...(byPartition.get(partition) ?? []), ...records]);
    }
    return byPartition;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  async #listen(id: number): Promise<void> {
    const server = createServer((socket) => {
      this.calls.push("connect");
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
      let buffered = Buffer.alloc(0);
      let turn = Promise.resolve();
      socket.on("data", (chunk) => {
        buffered = Buffer.concat([buffered, chunk]);
        for (; buffered.length >= 4 && buffered.length >= 4 + buffered.readInt32BE(0); ) {
          const end = 4 + buffered.readInt32BE(0);
          const request = buffered.subarray(4, end);
          buffered = buffered.subarray(end);
          turn = turn.then(() => this.#answer(id, socket, new Decoder(request)));
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#servers.push(server);
    this.addresses.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  async #answer(id: number, socket: Socket, request: Decoder): Promise<void> {
    if (this.options.answers?.(id) === false) return;
    const [key, , correlation] = [request.readInt16(), request.readInt16(), request.readInt32()];
    request.readString();
    const body =
      key === API_VERSIONS
        ? this.#versions()
        : key === METADATA
          ? this.#metadata(request)
          : await this.#produce(id, request);
    if (body === "hang") return;
    if (body === "drop") return void socket.destroy();
    const head = Buffer.alloc(8);
    head.writeInt32BE(4 + body.length, 0);
    head.writeInt32BE(correlation, 4);
    socket.write(Buffer.concat([head, body]));
  }

  #versions(): Buffer {
    this.calls.push("versions");
    return bytes(int16(0), array(VERSIONS.map(([key, max]) => bytes(int16(key), int16(0), int16(max)))), int32(0));
  }

  #metadata(request: Decoder): Buffer {
    const topics = request.readArray((decoder) => decoder.readString());
    this.calls.push(`metadata ${topics.join(",")}`);
    const brokers = this.addresses.map((address, id) => {
      const [host = "", port] = address.split(":");
      return bytes(int32(id), text(host), int32(Number(port)), int16(-1));
    });
    return bytes(int32(0), array(brokers), int16(-1), int32(0), array(topics.map((name) => this.#topic(name))));
  }

  #topic(name: string): Buffer {
    const count = this.options.topics?.[name] ?? 0;
    const code = this.options.metadata?.(name) ?? (count === 0 ? UNKNOWN_TOPIC : 0);
    const partitions = Array.from({ length: code === 0 ? count : 0 }, (_, partition) => {
      const leader = int32(partition % this.addresses.length);
      return bytes(int16(0), int32(partition), leader, array([leader]), array([leader]), array([]));
    });
    return bytes(int16(code), text(name), Buffer.from([0]), array(partitions));
  }

  async #produce(broker: number, request: Decoder): Promise<Buffer | "hang" | "drop"> {
    request.readString();
    this.calls.push(`produce acks ${request.readInt16()}`);
    request.readInt32();
    const sent = request.readArray((topic) => ({
      name: topic.readString(),
      partitions: topic.readArray((one) => ({ partition: one.readInt32(), batch: one.readBytes() })),
    }));
    const results: Buffer[] = [];
    for (const { name, partitions } of sent) {
      const codes: Buffer[] = [];
      for (const { partition, batch } of partitions) {
        const code = await this.#write({ topic: name, partition, broker }, batch);
        if (typeof code === "string") return code;
        codes.push(bytes(int32(partition), int16(code), int64(0), int64(-1), int64(0)));
      }
      results.push(bytes(text(name), array(codes)));
    }
    return bytes(array(results), int32(0));
  }

  async #write(place: { topic: string; partition: number; broker: number }, batch: Buffer) {
    const { records } = await decodeBatch(new Decoder(batch));
    const produced: ProducedBatch = {
      ...{ ...place, bytes: batch.length },
      records: records.map(({ key, value, headers, timestamp }) => ({
        ...{ key: key === null ? null : key.toString(), value: value.toString(), timestamp },
        headers: Object.fromEntries(Object.entries(headers).map(([name, header]) => [name, header.toString()])),
      })),
    };
    const code = this.options.produce?.(produced) ?? 0;
    if (code === 0) this.written.push(produced);
    return code;
  }
}

const bytes = (...parts: Buffer[]): Buffer => Buffer.concat(parts);
const array = (parts: Buffer[]): Buffer => bytes(int32(parts.length), ...parts);
const text = (value: string): Buffer => bytes(int16(Buffer.byteLength(value)), Buffer.from(value));

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

function int64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(BigInt(value));
  return buffer;
}
