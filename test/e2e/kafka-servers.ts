/**
 * Test servers that speak the produce calls of two HTTP Kafkas and keep the records in memory: Confluent's REST proxy v2 and
 * Upstash's Kafka REST. They are not those products: written from their documented wire formats, with their way to report
 * failures (Confluent: inside an HTTP 200, record by record; Upstash: the whole request). `kafka.ts` runs a real broker.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./wait.ts";

export interface StoredRecord {
  topic: string;
  partition: number;
  offset: number;
  key: string | null;
  /** As text: JSON where the format is JSON. */
  value: string;
  headers: Record<string, string>;
  /** Of the produce request that wrote it. */
  request: ProduceRequest;
}

export interface ProduceRequest {
  arrivedAt: number;
  /** Null as long as no answer was handed to the connection. */
  answeredAt: number | null;
  records: number;
}

/** A record's failure, in the protocol's own codes. */
export interface RecordFailure {
  code: number;
  message: string;
}

/** Says whether a record fails; it is asked once for each record of each try. */
export type InjectFailure = (record: { topic: string; key: string | null; value: string }) => RecordFailure | null;

interface IncomingRecord {
  topic: string;
  key: string | null;
  value: string;
  partition?: number | undefined;
  headers: Record<string, string>;
}

/** Confluent's code for a failure that may pass. */
export const CONFLUENT_RETRIABLE_CODE = 50_003;
const PARTITIONS = 4;

/** The topics and the answers' timing, whatever the protocol. */
export class HttpKafka {
  readonly url: string;
  readonly records: StoredRecord[] = [];
  readonly requests: ProduceRequest[] = [];
  /** Answers every request with this status instead of taking it; null: takes them. */
  failWith: number | null = null;
  /** Waits this long before it answers; Infinity hangs. */
  delayMs = 0;
  inject: InjectFailure = () => null;
  readonly #server: Server;
  readonly #offsets = new Map<string, number>();

  constructor(server: Server, answer: (kafka: HttpKafka, request: IncomingMessage, body: string) => Answer) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", async (request, response) => {
      try {
        await this.#serve(request, response, answer);
      } catch {
        // The sender is gone in the middle of its request.
        response.destroy();
      }
    });
  }

  /** Writes a record behind those of its partition. */
  store(record: IncomingRecord, request: ProduceRequest): StoredRecord {
    const partition = record.partition ?? partitionOf(record.key);
    const place = `${record.topic}/${partition}`;
    const offset = this.#offsets.get(place) ?? 0;
    this.#offsets.set(place, offset + 1);
    const stored = { ...record, partition, offset, request };
    this.records.push(stored);
    return stored;
  }

  /** A topic's records in the order in which they were written. */
  topic(name: string): StoredRecord[] {
    return this.records.filter((record) => record.topic === name);
  }

  async received(count: number, timeoutMs = 60_000): Promise<void> {
    const describe = () => `${this.records.length} of ${count} records at ${this.url}`;
    await until(() => this.records.length >= count, { timeoutMs, describe });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    answer: (kafka: HttpKafka, request: IncomingMessage, body: string) => Answer,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const produced: ProduceRequest = { arrivedAt: Date.now(), answeredAt: null, records: 0 };
    this.requests.push(produced);
    if (this.delayMs === Number.POSITIVE_INFINITY) return;
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    const { status, body } =
      this.failWith === null
        ? answer(this, request, Buffer.concat(chunks).toString()).write(produced)
        : { status: this.failWith, body: { error: "injected", error_code: this.failWith, message: "injected" } };
    produced.answeredAt = Date.now();
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }
}

interface Answer {
  write(request: ProduceRequest): { status: number; body: unknown };
}

const refuse = (status: number, body: unknown): Answer => ({ write: () => ({ status, body }) });

/** The same key always gives the same partition; no key gives the first. */
function partitionOf(key: string | null): number {
  let hash = 0;
  for (const letter of key ?? "") hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  return hash % PARTITIONS;
}

async function start(answer: (kafka: HttpKafka, request: IncomingMessage, body: string) => Answer): Promise<HttpKafka> {
  const server = createServer();
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return new HttpKafka(server, answer);
}

/** `POST /topics/{topic}`, formats json and binary: one entry a record in `offsets`, HTTP 200 also when records failed. */
export const startConfluentV2Server = (): Promise<HttpKafka> => start(confluentV2);

function confluentV2(kafka: HttpKafka, request: IncomingMessage, body: string): Answer {
  const topic = /^\/topics\/([^/]+)$/.exec(request.url ?? "")?.[1];
  const format = /^application\/vnd\.kafka\.(json|binary)\.v2\+json/.exec(request.headers["content-type"] ?? "")?.[1];
  if (request.method !== "POST" || topic === undefined)
    return refuse(404, { error_code: 404, message: "HTTP 404 Not Found" });
  if (format === undefined) return refuse(415, { error_code: 415, message: "HTTP 415 Unsupported Media Type" });
  const { records } = JSON.parse(body) as { records: { key?: unknown; value?: unknown; partition?: number }[] };
  const allowed = new Set(["key", "value", "partition"]);
  const unknown = records.flatMap((record) => Object.keys(record)).find((field) => !allowed.has(field));
  if (unknown !== undefined) return refuse(422, { error_code: 422, message: `Unrecognized field: ${unknown}` });
  const text = (value: unknown) =>
    format === "binary"
      ? Buffer.from(String(value), "base64").toString()
      : typeof value === "string"
        ? value
        : JSON.stringify(value);
  return {
    write: (produced) => {
      produced.records = records.length;
      const offsets = records.map(({ key, value, partition }) => {
        const record = {
          topic,
          key: key === undefined || key === null ? null : text(key),
          value: text(value),
          partition,
          headers: {},
        };
        const failure = kafka.inject(record);
        if (failure !== null)
          return { partition: null, offset: null, error_code: failure.code, error: failure.message };
        const stored = kafka.store(record, produced);
        return { partition: stored.partition, offset: stored.offset, error_code: null, error: null };
      });
      return { status: 200, body: { offsets, key_schema_id: null, value_schema_id: null } };
    },
  };
}

/** `POST /produce` and `/produce/{topic}` behind HTTP Basic: one message or an array; the request succeeds or fails as a whole. */
export const startUpstashServer = (auth: { username: string; password: string }): Promise<HttpKafka> =>
  start((kafka, request, body) => upstash(kafka, request, body, auth));

interface UpstashMessage {
  topic?: string;
  key?: string;
  value?: string;
  partition?: number;
  headers?: { key: string; value: string }[];
}

function upstash(
  kafka: HttpKafka,
  request: IncomingMessage,
  body: string,
  { username, password }: { username: string; password: string },
): Answer {
  const error = (status: number, message: string) => refuse(status, { error: message, status });
  if (request.headers.authorization !== `Basic ${btoa(`${username}:${password}`)}`) return error(401, "Unauthorized");
  const path = /^\/produce(?:\/([^/]+))?$/.exec(request.url ?? "");
  if (path === null) return error(404, "Not found");
  const parsed = JSON.parse(body) as UpstashMessage | UpstashMessage[];
  const messages = (Array.isArray(parsed) ? parsed : [parsed]).map((message) => ({
    ...message,
    topic: path[1] ?? message.topic,
  }));
  if (messages.some(({ topic, value }) => topic === undefined || typeof value !== "string")) {
    return error(400, "topic and value are required, and value is a string");
  }
  const records = messages.map(({ topic = "", key, value = "", partition, headers = [] }) => ({
    topic,
    key: key ?? null,
    value,
    partition,
    headers: Object.fromEntries(headers.map((header) => [header.key, header.value])),
  }));
  const failure = records.map((record) => kafka.inject(record)).find((result) => result !== null);
  if (failure !== undefined && failure !== null) return error(failure.code, failure.message);
  return {
    write: (produced) => {
      produced.records = records.length;
      const written = records.map((record) => kafka.store(record, produced));
      return {
        status: 200,
        body: written.map(({ topic, partition, offset }) => ({
          topic,
          partition,
          offset,
          timestamp: produced.arrivedAt,
        })),
      };
    },
  };
}
