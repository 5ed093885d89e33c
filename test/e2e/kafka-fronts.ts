/**
 * HTTP in front of a real broker, for tests: the produce calls of Confluent's REST proxy v3 and of Redpanda's HTTP Proxy, written from
 * their documented wire formats, with kafkajs behind them. They are not those products.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Kafka, logLevel, type Message, Partitioners, type Producer } from "kafkajs";

export interface KafkaFront {
  url: string;
  /** Requests that came, less those that were made to fail. */
  requests: number;
  /** Asked for each request by its number, from 1: whether this one goes wrong in the front's own way. */
  fails: (request: number) => boolean;
  stop(): Promise<void>;
}

type Serve = (front: KafkaFront, request: IncomingMessage, response: ServerResponse, body: string) => Promise<void>;

async function start(bootstrap: string, serveWith: (producer: Producer) => Serve): Promise<KafkaFront> {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const serve = serveWith(producer);
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
      front.requests++;
      await serve(front, request, response, Buffer.concat(chunks).toString());
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const front: KafkaFront = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ requests: 0, fails: () => false },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await producer.disconnect();
    },
  };
  return front;
}

const decoded = (data: string) => Buffer.from(data, "base64");

/** Written, then reported, so many at a time: the answer is under way while records still wait. */
const REPORTED_TOGETHER = 100;

interface V3Record {
  key?: { type: string; data: string };
  value: { type: string; data: string };
  headers?: { name: string; value: string }[];
}

/**
 * `POST /v3/clusters/{id}/topics/{topic}/records`, objects one behind the other. A request that fails breaks off after half of its
 * reports, with more written than were reported.
 */
export const startConfluentV3 = (bootstrap: string, cluster: string): Promise<KafkaFront> =>
  start(bootstrap, (producer) => async (front, request, response, body) => {
    const [, id, topic = ""] = /^\/v3\/clusters\/([^/]+)\/topics\/([^/]+)\/records$/.exec(request.url ?? "") ?? [];
    if (id !== cluster) return void response.writeHead(404).end('{"error_code":404,"message":"HTTP 404 Not Found"}');
    const records = body.split("\n").map((line) => JSON.parse(line) as V3Record);
    if (records.some(({ value }) => value.type !== "BINARY")) return void response.writeHead(400).end();
    const messages = records.map(
      ({ key, value, headers = [] }): Message => ({
        ...{ key: key === undefined ? null : decoded(key.data), value: decoded(value.data) },
        headers: Object.fromEntries(headers.map((header) => [header.name, decoded(header.value)])),
      }),
    );
    const breaksAt = front.fails(front.requests) ? messages.length / 2 : Number.POSITIVE_INFINITY;
    response.writeHead(200, { "content-type": "application/json" });
    for (let at = 0; at < messages.length; at += REPORTED_TOGETHER) {
      const part = messages.slice(at, at + REPORTED_TOGETHER);
      await producer.send({ topic, messages: part });
      if (at >= breaksAt) return void response.destroy();
      response.write(
        part.map(() => `{"error_code":200,"cluster_id":"${cluster}","topic_name":"${topic}"}\r\n`).join(""),
      );
    }
    response.end();
  });

interface V2Record {
  key?: string;
  value: string;
}

/**
 * `POST /topics/{topic}`, binary: one entry a partition that was written to, by kafkajs's own accounts. Of a request that fails one
 * partition is not written, and its entry says so.
 */
export const startRedpanda = (bootstrap: string): Promise<KafkaFront> =>
  start(bootstrap, (producer) => async (front, request, response, body) => {
    const topic = /^\/topics\/([^/]+)$/.exec(request.url ?? "")?.[1] ?? "";
    const { records } = JSON.parse(body) as { records: V2Record[] };
    const unknown = records.flatMap((record) => Object.keys(record)).find((field) => !["key", "value"].includes(field));
    if (unknown !== undefined)
      return void response.writeHead(422).end('{"error_code":42201,"message":"unknown field"}');
    const failing = front.fails(front.requests) ? records[0]?.key : null;
    const messages = records
      .filter(({ key }) => key !== failing)
      .map(({ key, value }): Message => ({ key: key === undefined ? null : decoded(key), value: decoded(value) }));
    const written = messages.length === 0 ? [] : await producer.send({ topic, messages });
    const offsets: object[] = written.map(({ partition, baseOffset }) => ({ partition, offset: Number(baseOffset) }));
    if (failing !== null) offsets.push({ partition: 0, error_code: 6, offset: -1 });
    response.writeHead(200, { "content-type": "application/vnd.kafka.v2+json" }).end(JSON.stringify({ offsets }));
  });
