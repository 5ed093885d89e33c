import { Buffer } from "node:buffer";
import Broker from "kafkajs/src/broker/index.js";
import ConnectionPool, { type Logger } from "kafkajs/src/network/connectionPool.js";
import { type Exchange, type MetadataAnswer, requests } from "kafkajs/src/protocol/requests/index.js";
import type { Closable } from "../kept.ts";
import type { Connect } from "./destination.ts";
import { KafkaSocket } from "./kafka-socket.ts";

/**
 * A Kafka cluster as a producer sees it: where a topic's partitions are, and what became of each batch of records. Over kafkajs's
 * connections; nothing in here is tried twice, that is the outbox's.
 */
export interface KafkaClientOptions {
  /** host:port each, to begin with. */
  brokers: readonly string[];
  tls: boolean;
  sasl: { mechanism: string; username: string; password: string } | null;
  clientId: string;
  /** For one broker, so that there is time for another. */
  connectTimeoutMs: number;
  connect: Connect;
}

export interface Topic {
  /** Of Kafka's protocol; 0: the topic is known. */
  code: number;
  /** By partition, the id of the broker that leads it; -1: none does. */
  leaders: number[];
}

/** One partition's records, encoded. */
export interface EncodedBatch {
  topic: string;
  partition: number;
  bytes: Uint8Array;
}

/** What kept a broker from answering. `error` is kafkajs's. */
export class BrokerFailure extends Error {
  readonly broker: string;

  constructor(broker: string, cause: unknown) {
    super(`${broker}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.broker = broker;
  }
}

/** As Kafka's own clients: leaders that move say so themselves, added partitions do not. */
const METADATA_AGE_MS = 300_000;
const PRODUCE = 0;
const METADATA = 3;
/** The first that carries batches of format 2, with headers. */
const MIN_PRODUCE_VERSION = 3;
const INT16_BYTES = 2;
const INT32_BYTES = 4;

const encoder = new TextEncoder();
const SILENT: Logger = { namespace: () => SILENT, debug() {}, info() {}, warn() {}, error() {} };

export class KafkaClient implements Closable {
  readonly #options: KafkaClientOptions;
  /** By address. */
  readonly #brokers = new Map<string, Broker>();
  readonly #sockets = new Set<KafkaSocket>();
  /** By the id that the cluster gives them. */
  readonly #addresses = new Map<number, string>();
  readonly #topics = new Map<string, Topic & { at: number }>();
  /** Those that failed last; one that says nothing at all would use up the time of every attempt. */
  readonly #suspects = new Set<string>();
  #turn = 0;
  #closed = 0;

  constructor(options: KafkaClientOptions) {
    this.#options = options;
  }

  /** Where the topics' partitions are. @throws BrokerFailure */
  async topics(names: readonly string[], now: number): Promise<Map<string, Topic>> {
    const unknown = names.filter((name) => now >= (this.#topics.get(name)?.at ?? -Infinity) + METADATA_AGE_MS);
    const found = new Map<string, Topic>(
      names.flatMap((name) => [[name, this.#topics.get(name)]] as [string, Topic][]),
    );
    if (unknown.length === 0) return found;
    const answer = await this.#metadata(unknown);
    for (const { nodeId, host, port } of answer.brokers) this.#addresses.set(nodeId, `${host}:${port}`);
    for (const { topic: name, topicErrorCode: code, partitionMetadata } of answer.topicMetadata) {
      const leaders: number[] = [];
      for (const { partitionId, leader } of partitionMetadata) leaders[partitionId] = leader;
      found.set(name, { code, leaders });
      if (code === 0) this.#topics.set(name, { code, leaders, at: now });
    }
    return found;
  }

  /** The next look at the topic asks the cluster. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /** One of the partitions that have a leader, in turn: for records that have no key. */
  anyPartition({ leaders }: Topic): number {
    const led = leaders.flatMap((leader, partition) => (leader >= 0 ? [partition] : []));
    return led[this.#turn++ % led.length] ?? 0;
  }

  /** Writes to the broker that leads these partitions; one code of Kafka's protocol a batch, 0 for written. @throws BrokerFailure */
  async produce(
    leader: number,
    batches: readonly EncodedBatch[],
    options: { acks: number; timeoutMs: number },
  ): Promise<number[]> {
    const address = this.#addresses.get(leader);
    if (address === undefined) throw new BrokerFailure(`broker ${leader}`, "the cluster does not say where it is");
    const { acks, timeoutMs: timeout } = options;
    const answer = await this.#exchange(address, (broker) => {
      const exchange = broker.lookupRequest(
        PRODUCE,
        requests.Produce,
      )({ acks, timeout, compression: 0, topicData: [] });
      if (exchange.request.apiVersion < MIN_PRODUCE_VERSION) throw new Error("Kafka before 0.11 is not supported");
      const body = produceBody(batches, acks, timeout);
      return { ...exchange, request: { ...exchange.request, encode: async () => ({ buf: body, buffer: body }) } };
    });
    const codes = new Map(
      answer.topics.flatMap(({ topicName, partitions }) =>
        partitions.map(({ partition, errorCode }) => [`${topicName}/${partition}`, errorCode] as const),
      ),
    );
    return batches.map(({ topic, partition }) => {
      const code = codes.get(`${topic}/${partition}`);
      if (code === undefined) throw new BrokerFailure(address, "its answer leaves out a partition");
      return code;
    });
  }

  /** Whatever waits for an answer fails. The next call connects anew. */
  close(): void {
    for (const socket of [...this.#sockets]) socket.destroy(new Error("closed"));
    this.#closed++;
    this.#brokers.clear();
    this.#topics.clear();
    this.#addresses.clear();
  }

  /** Of the first broker that answers: connected ones before others, then those of the settings, suspects last. */
  async #metadata(topics: string[]): Promise<MetadataAnswer> {
    const connected = [...this.#brokers].filter(([, broker]) => broker.isConnected()).map(([address]) => address);
    const known = [...new Set([...connected, ...this.#options.brokers, ...this.#addresses.values()])];
    const suspect = (address: string) => Number(this.#suspects.has(address));
    const closed = this.#closed;
    let failure: unknown = null;
    for (const address of known.sort((a, b) => suspect(a) - suspect(b))) {
      // Whoever closes does not want to connect to the next.
      if (this.#closed !== closed) break;
      try {
        return await this.#exchange(address, (broker) =>
          broker.lookupRequest(METADATA, requests.Metadata)({ topics, allowAutoTopicCreation: true }),
        );
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** What kafkajs throws for at an error inside the answer is read by the caller, part by part. */
  async #exchange<Answer>(address: string, make: (broker: Broker) => Exchange<Answer>): Promise<Answer> {
    try {
      const broker = await this.#broker(address);
      const { request, response } = make(broker);
      const whole = { decode: response.decode, parse: async (decoded: Answer) => decoded };
      const answer = await broker.connectionPool.send({ request, response: whole as Exchange<Answer>["response"] });
      this.#suspects.delete(address);
      return answer;
    } catch (error) {
      this.#suspects.add(address);
      throw new BrokerFailure(address, error);
    }
  }

  async #broker(address: string): Promise<Broker> {
    const known = this.#brokers.get(address);
    if (known?.isConnected() === true) return known;
    // Closed by the broker, or its authentication has run out.
    void known?.disconnect().catch(() => {});
    const broker = this.#newBroker(address);
    this.#brokers.set(address, broker);
    await broker.connect();
    return broker;
  }

  #newBroker(address: string): Broker {
    const { clientId, sasl, connectTimeoutMs } = this.#options;
    const [host, port] = hostAndPort(address);
    const connectionPool = new ConnectionPool({
      ...{ host, port, clientId, sasl, logger: SILENT, connectionTimeout: connectTimeoutMs },
      // Who sends has a time-out for the whole, at which it closes.
      ...{ requestTimeout: 0, enforceRequestTimeout: false },
      socketFactory: ({ onConnect }) => this.#open(host, port, onConnect),
    });
    for (const { requestQueue } of connectionPool.pool) quieten(requestQueue);
    return new Broker({
      ...{ connectionPool, logger: SILENT, authenticationTimeout: connectTimeoutMs },
      allowAutoTopicCreation: true,
    });
  }

  #open(hostname: string, port: number, onConnect: () => void): KafkaSocket {
    const { connect, tls } = this.#options;
    const opened = connect({ hostname, port }, { secureTransport: tls ? "on" : "off", allowHalfOpen: false });
    const socket: KafkaSocket = new KafkaSocket(opened, onConnect, () => this.#sockets.delete(socket));
    this.#sockets.add(socket);
    return socket;
  }
}

/** kafkajs looks for requests that a quota holds back every millisecond, for ever, also where there are none. */
function quieten(queue: ConnectionPool["pool"][number]["requestQueue"]): void {
  const look = queue.scheduleCheckPendingRequests.bind(queue);
  queue.scheduleCheckPendingRequests = () => {
    if (queue.pending.length > 0) look();
  };
}

function hostAndPort(address: string): [string, number] {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon), Number(address.slice(colon + 1))];
}

/** The body of a Produce request, versions 3 to 8, outside of any transaction. */
function produceBody(batches: readonly EncodedBatch[], acks: number, timeoutMs: number): Buffer {
  const byTopic = Map.groupBy(batches, ({ topic }) => topic);
  const names = new Map([...byTopic.keys()].map((name) => [name, encoder.encode(name)]));
  let size = INT16_BYTES + INT16_BYTES + INT32_BYTES + INT32_BYTES;
  for (const name of names.values()) size += INT16_BYTES + name.length + INT32_BYTES;
  for (const { bytes } of batches) size += INT32_BYTES + INT32_BYTES + bytes.length;
  const body = Buffer.alloc(size);
  let at = body.writeInt16BE(-1, 0);
  at = body.writeInt16BE(acks, at);
  at = body.writeInt32BE(timeoutMs, at);
  at = body.writeInt32BE(byTopic.size, at);
  for (const [topic, group] of byTopic) {
    const name = names.get(topic) as Uint8Array;
    at = body.writeInt16BE(name.length, at);
    body.set(name, at);
    at = body.writeInt32BE(group.length, at + name.length);
    for (const { partition, bytes } of group) {
      at = body.writeInt32BE(partition, at);
      at = body.writeInt32BE(bytes.length, at);
      body.set(bytes, at);
      at += bytes.length;
    }
  }
  return body;
}
