import { z } from "zod";
import { messageOf } from "../../../shared/errors.ts";
import type { Outcome, SendDeps } from "./destination.ts";
import { encodeBatch } from "./kafka-batch.ts";
import type { BrokerFailure, EncodedBatch, KafkaClient, Topic } from "./kafka-client.ts";
import { codeKind, codeName } from "./kafka-codes.ts";
import type { KafkaRecord } from "./kafka-record.ts";
import type { KafkaProtocol } from "./kafka-send.ts";
import { headersField, recordFields } from "./kafka-settings.ts";
import { partitionOf } from "./murmur2.ts";

/**
 * Kafka's own protocol. A connection is kept between sends. Within a request each partition's records are one batch, which Kafka
 * writes whole or not at all, and whose result is theirs. Not idempotent: an idempotent producer's numbers are of one session, and the
 * retry that matters most comes after a crash; a request whose answer was lost may be there twice, at Kafka as anywhere else.
 */
export const tcpSettings = z.strictObject({
  protocol: z.literal("tcp"),
  brokers: z
    .array(z.string().regex(/^[a-zA-Z0-9._-]+:\d{1,5}$/, "must be host:port"))
    .min(1)
    .max(20)
    .describe("Brokers to begin with, host:port each; they tell of the others"),
  tls: z.boolean().default(false).describe("TLS, with the certificate checked for the broker's host"),
  sasl: z
    .strictObject({
      mechanism: z.enum(["plain", "scram-sha-256", "scram-sha-512"]).describe("How the brokers want credentials"),
      username: z.string().describe("User name at the brokers; secret"),
      password: z.string().describe("Password at the brokers; secret"),
    })
    .optional(),
  acks: z
    .literal([-1, 1])
    .default(-1)
    .describe("-1: all in-sync replicas have the records; 1: the leader has, and may lose them with itself"),
  compression: z.enum(["none", "gzip"]).default("none").describe("Of each partition's records"),
  client_id: z.string().min(1).max(100).default("headwater").describe("Name in the brokers' logs, metrics and quotas"),
  headers: headersField,
  ...recordFields,
});

export type TcpSettings = z.infer<typeof tcpSettings>;

/** A broker that does not answer leaves time for two others. */
const BROKERS_TO_TRY_COUNT = 3;

export const tcp: KafkaProtocol<TcpSettings> = {
  headers: true,
  perTopic: false,
  post: async (records, settings, deps) => {
    // Only who has such a destination pays for the library.
    const { KafkaClient } = await import("./kafka-client.ts");
    const { brokers, tls, sasl = null, client_id: clientId, timeout_ms } = settings;
    const connectTimeoutMs = Math.ceil(timeout_ms / BROKERS_TO_TRY_COUNT);
    const options = { brokers, tls, sasl, clientId, connectTimeoutMs };
    const open = () => new KafkaClient({ ...options, sasl: sasl === null ? null : { ...sasl }, connect: deps.connect });
    return deps.kept.use(`kafka ${JSON.stringify(options)}`, open, async (client) => {
      // A request that is given up must not wait in a connection for its retry to overtake it.
      const giveUp = () => client.close();
      deps.signal.addEventListener("abort", giveUp);
      try {
        return await new TcpSend(records, settings, deps, client).run();
      } finally {
        deps.signal.removeEventListener("abort", giveUp);
      }
    });
  },
};

/** Records for one partition; `indexes` are theirs in the request. */
interface PartitionBatch {
  topic: string;
  partition: number;
  leader: number;
  indexes: number[];
}

class TcpSend {
  readonly #records: readonly KafkaRecord[];
  readonly #settings: TcpSettings;
  readonly #deps: SendDeps;
  readonly #client: KafkaClient;
  readonly #outcomes: Outcome[];

  constructor(records: readonly KafkaRecord[], settings: TcpSettings, deps: SendDeps, client: KafkaClient) {
    this.#records = records;
    this.#settings = settings;
    this.#deps = deps;
    this.#client = client;
    this.#outcomes = Array<Outcome>(records.length);
  }

  async run(): Promise<Outcome[] | Outcome> {
    let topics: Map<string, Topic>;
    try {
      topics = await this.#client.topics([...new Set(this.#records.map(({ topic }) => topic))], this.#deps.clock.now());
    } catch (error) {
      return this.#noAnswer(error as BrokerFailure);
    }
    const byLeader = Map.groupBy(this.#partition(topics), ({ leader }) => leader);
    await Promise.all([...byLeader].map(([leader, batches]) => this.#write(leader, batches)));
    const delivered = this.#outcomes.every(({ result }) => result === "delivered");
    return delivered ? { result: "delivered" } : this.#outcomes;
  }

  /** Each record to its partition, in order; those that have none to go to get their outcome. */
  #partition(topics: Map<string, Topic>): PartitionBatch[] {
    const batches = new Map<string, PartitionBatch>();
    const keyless = new Map<string, number>();
    for (const [index, { topic: name, key }] of this.#records.entries()) {
      const topic = topics.get(name) ?? { code: UNKNOWN_TOPIC, leaders: [] };
      if (topic.code !== 0) {
        this.#outcomes[index] = withoutHoldUp(this.#records[index] as KafkaRecord, this.#failure(topic.code, name));
        continue;
      }
      const partition =
        key === null ? (keyless.get(name) ?? this.#client.anyPartition(topic)) : partitionOf(key, topic.leaders.length);
      // Records without a key share a partition for the length of a request: fewer and larger batches.
      if (key === null) keyless.set(name, partition);
      const place = `${name}/${partition}`;
      const batch = batches.get(place);
      if (batch !== undefined) batch.indexes.push(index);
      else batches.set(place, { topic: name, partition, leader: topic.leaders[partition] ?? -1, indexes: [index] });
    }
    return [...batches.values()];
  }

  /** What one broker leads, in one request. */
  async #write(leader: number, batches: readonly PartitionBatch[]): Promise<void> {
    if (leader < 0) {
      for (const batch of batches) this.#settle(batch, this.#failure(LEADER_NOT_AVAILABLE, batch.topic));
      return;
    }
    const { acks, timeout_ms: timeoutMs } = this.#settings;
    const encoded = await Promise.all(batches.map((batch) => this.#encode(batch)));
    // Given up, and about to be tried again: what is sent now would come twice, and late.
    if (this.#deps.signal.aborted) {
      for (const batch of batches) this.#settle(batch, this.#outOfTime(this.#settings.brokers[0] as string));
      return;
    }
    let codes: number[];
    try {
      codes = await this.#client.produce(leader, encoded, { acks, timeoutMs });
    } catch (error) {
      for (const batch of batches) {
        this.#client.forget(batch.topic);
        this.#settle(batch, this.#noAnswer(error as BrokerFailure));
      }
      return;
    }
    for (const [i, batch] of batches.entries()) {
      const code = codes[i] as number;
      if (code === 0) this.#settle(batch, DELIVERED);
      else if (codeKind(code) === "too-large" && batch.indexes.length > 1) await this.#writeHalves(batch);
      else this.#settle(batch, this.#failure(code, batch.topic));
    }
  }

  /** A batch that is too large may hold records that are not. One half behind the other, so that order holds. */
  async #writeHalves(batch: PartitionBatch): Promise<void> {
    const middle = batch.indexes.length >> 1;
    const [first, second] = [batch.indexes.slice(0, middle), batch.indexes.slice(middle)];
    await this.#write(batch.leader, [{ ...batch, indexes: first }]);
    const failed = first.map((index) => this.#outcomes[index] as Outcome).find(({ result }) => result === "retry");
    if (failed !== undefined) this.#settle({ ...batch, indexes: second }, failed);
    else await this.#write(batch.leader, [{ ...batch, indexes: second }]);
  }

  async #encode({ topic, partition, indexes }: PartitionBatch): Promise<EncodedBatch> {
    const records = indexes.map((index) => this.#records[index] as KafkaRecord);
    const gzip = this.#settings.compression === "gzip";
    return { topic, partition, bytes: await encodeBatch(records, { timestamp: this.#deps.clock.now(), gzip }) };
  }

  #settle({ indexes }: PartitionBatch, outcome: Outcome): void {
    for (const index of indexes) this.#outcomes[index] = withoutHoldUp(this.#records[index] as KafkaRecord, outcome);
  }

  #failure(code: number, topic: string): Outcome {
    const kind = codeKind(code);
    if (kind === "moved" || kind === "topic") this.#client.forget(topic);
    const answer = { reason: `${this.#reason(code, topic)} (${codeName(code)})`, status: code };
    if (kind === "throttled") return { result: "retry", throttled: true, ...answer };
    if (kind === "too-large" || kind === "record") return { result: "dead", ...answer };
    return { result: "retry", ...answer };
  }

  #reason(code: number, topic: string): string {
    switch (codeKind(code)) {
      case "topic":
        return `Kafka does not know the topic "${topic}": create it`;
      case "access": {
        const who = this.#settings.sasl === undefined ? "nobody without credentials" : "the user of sasl not";
        return `Kafka lets ${who} write to the topic "${topic}": correct sasl, or allow it there`;
      }
      case "too-large":
        return `the record is larger than Kafka allows in the topic "${topic}": raise its max.message.bytes, then replay`;
      case "record":
        return `Kafka refuses the record for the topic "${topic}"`;
      case "settings":
        return `Kafka does not do what the settings ask for in the topic "${topic}": correct acks or compression, or the topic`;
      case "moved":
        return `no broker leads the partition of the topic "${topic}"`;
      default:
        return `Kafka could not write to the topic "${topic}"`;
    }
  }

  #outOfTime(broker: string): Outcome {
    return { result: "retry", reason: `${broker} did not answer in time` };
  }

  #noAnswer(failure: BrokerFailure): Outcome {
    const { broker, cause } = failure;
    if (this.#deps.signal.aborted) return this.#outOfTime(broker);
    const { name, code } = (cause ?? {}) as { name?: string; code?: unknown };
    const status = typeof code === "number" ? { status: code } : {};
    if (name === "KafkaJSSASLAuthenticationError" || codeKind(Number(code)) === "credentials") {
      const what =
        this.#settings.sasl === undefined ? "wants credentials: set sasl" : "refuses the credentials: correct sasl";
      return { result: "retry", reason: `${broker} ${what} (${messageOf(cause)})`, status: SASL_AUTHENTICATION_FAILED };
    }
    return { result: "retry", reason: `no answer from ${broker}: ${networkReason(messageOf(cause))}`, ...status };
  }
}

/** A topic that a script may not write to would hold back all others of an ordered destination: its records wait as dead letters. */
function withoutHoldUp({ scriptTopic }: KafkaRecord, outcome: Outcome): Outcome {
  if (outcome.result !== "retry" || scriptTopic !== true || codeKind(outcome.status ?? 0) !== "access") return outcome;
  return { ...outcome, result: "dead" };
}

const DELIVERED: Outcome = { result: "delivered" };
const UNKNOWN_TOPIC = 3;
const LEADER_NOT_AVAILABLE = 5;
const SASL_AUTHENTICATION_FAILED = 58;

/** What a socket tells of its end is little; this says what can be behind it. */
function networkReason(message: string): string {
  if (message.includes("cannot connect to the specified address"))
    return "it cannot be reached: nothing listens there, its certificate is not trusted, or it is a private address, which needs --allow-private when started with `npm run serve`";
  if (["Closed connection", "Not connected", "Network connection lost"].some((text) => message.includes(text)))
    return "it closed the connection: it has stopped, or wants tls or sasl other than the settings have";
  return message;
}
