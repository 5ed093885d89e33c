import { Kafka as KafkaClient, logLevel, Partitioners, type Producer } from "kafkajs";
import { type Headwater, startHeadwater } from "../test/e2e/headwater.ts";
import { type Kafka, startKafka } from "../test/e2e/kafka.ts";
import { until } from "../test/e2e/wait.ts";
import { refuseOtherThan200 } from "./checks.ts";
import { BatchTemplate } from "./events.ts";
import { load } from "./load.ts";

const TOKEN = "phc_bench";
const TEAM = "bench";
const DESTINATION = "kafka";
const PARTITIONS = 12;
/** Records in one request to Kafka: the destination's default. */
const BATCH = 500;
const CAPTURE_BATCH = 100;
const CONNECTIONS = 16;
const TIMEOUT_MS = 300_000;
const POLL_MS = 25;

/** A real broker, a running Headwater that delivers to it by Kafka's own protocol, and kafkajs as anybody uses it. */
export class KafkaRig {
  readonly #kafka: Kafka;
  readonly #headwater: Headwater;
  readonly #producer: Producer;
  readonly #requests: BatchTemplate;
  #delivered = 0;

  private constructor(kafka: Kafka, headwater: Headwater, producer: Producer) {
    this.#kafka = kafka;
    this.#headwater = headwater;
    this.#producer = producer;
    this.#requests = new BatchTemplate(headwater.capture, TOKEN, CAPTURE_BATCH);
  }

  /** Throws where no real Kafka can run. */
  static async start(): Promise<KafkaRig> {
    const kafka = await startKafka();
    for (const topic of ["plain", "headwater"]) kafka.createTopic(topic, PARTITIONS);
    const destination = {
      ...{ id: DESTINATION, kind: "kafka", protocol: "tcp", brokers: [kafka.bootstrap], topic: "headwater" },
      batch: { max_events: BATCH },
    };
    const headwater = await startHeadwater({
      config: { teams: [{ id: TEAM, tokens: [TOKEN], destinations: [destination] }] },
    });
    const client = new KafkaClient({ brokers: [kafka.bootstrap], logLevel: logLevel.NOTHING });
    const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    return new KafkaRig(kafka, headwater, producer);
  }

  /** Events/s of kafkajs in Node, one request of `BATCH` records after the other, all acknowledged. */
  async plain(events: number): Promise<number> {
    const { batch } = JSON.parse(this.#requests.body) as { batch: { distinct_id: string }[] };
    const rest = { ip: "127.0.0.1", received_at: "2026-01-01T00:00:01.000Z", source: "posthog" };
    const messages = Array.from({ length: BATCH }, (_, n) => {
      const event = batch[n % batch.length]!;
      return { key: `${TOKEN}:${event.distinct_id}`, value: JSON.stringify({ ...event, ...rest }) };
    });
    const started = performance.now();
    for (let sent = 0; sent < events; sent += BATCH) await this.#producer.send({ topic: "plain", messages });
    return events / ((performance.now() - started) / 1_000);
  }

  /** Events/s of a running Headwater's outbox: filled while its destination is paused, then let go. */
  async drain(events: number): Promise<number> {
    await this.#operate("pause");
    const count = events / CAPTURE_BATCH;
    refuseOtherThan200(
      await load({ url: this.#headwater.capture, connections: CONNECTIONS, count, request: this.#requests.next }),
    );
    await this.#until((status) => status.book.pending === events);
    const started = performance.now();
    await this.#operate("resume");
    this.#delivered += events;
    await this.#until((status) => status.book.delivered === this.#delivered);
    return events / ((performance.now() - started) / 1_000);
  }

  async stop(): Promise<void> {
    await this.#producer.disconnect();
    await this.#headwater.stop();
    await this.#kafka.stop();
  }

  async #operate(what: "pause" | "resume"): Promise<void> {
    await this.#headwater.api("POST", `/api/teams/${TEAM}/destinations/${DESTINATION}/${what}`, {});
  }

  async #until(reached: (status: OutboxFigures) => boolean): Promise<void> {
    let last: unknown = null;
    await until(
      async () => {
        const { destinations } = await this.#headwater.api<{ destinations: { status: OutboxFigures }[] }>(
          ...(["GET", `/api/teams/${TEAM}/destinations`] as const),
        );
        const status = destinations[0]?.status;
        last = status;
        return status !== undefined && reached(status);
      },
      { timeoutMs: TIMEOUT_MS, everyMs: POLL_MS, describe: () => JSON.stringify(last) },
    );
  }
}

interface OutboxFigures {
  book: { delivered: number; pending: number };
}
