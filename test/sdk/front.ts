import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

/** What happens to a request that carries events. */
export type Fault =
  /** 503, and the events never reach the other side. */
  | "refuse"
  /** The events are taken, but the client is told 503. */
  | "lose answer";

/** A POST that passed through. */
export interface Passed {
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  /** Inflated where it was gzip. */
  body: string;
  gzipped: boolean;
  /** What the client was told. */
  status: number;
  /** The product has answered 2xx, whatever the client was told. */
  taken: boolean;
}

/** A proxy between SDKs and the product: it notes what SDKs send, and fails on demand, as a network does. */
export interface Front {
  url: string;
  /** In order of arrival. */
  passed: Passed[];
  /** One for each of the next requests that carry events. */
  faults: Fault[];
  stop(): Promise<void>;
}

/** Questions to the host are no events. */
const QUESTION = /\/(?:flags|decide|v1\/m|rsaMetrics)\/?$/;
/** More than any SDK sends. */
const BODY_BYTES = 50_000_000;
const GZIP_MAGIC = Buffer.of(0x1f, 0x8b);

export async function startFront(target: string): Promise<Front> {
  const passed: Passed[] = [];
  const faults: Fault[] = [];
  const server = createServer((incoming, outgoing) => {
    receive(incoming)
      .then(async (raw) => {
        const url = new URL(incoming.url ?? "/", target);
        const carries = incoming.method === "POST" && !QUESTION.test(url.pathname);
        const fault = carries ? faults.shift() : undefined;
        const answer = fault === "refuse" ? null : await forward(incoming, url, raw);
        const status = fault === undefined && answer !== null ? answer.status : 503;
        if (carries)
          passed.push({ ...read(url, incoming, raw), status, taken: answer !== null && answer.status < 300 });
        reply(incoming, outgoing, status, status === 503 ? null : answer);
      })
      .catch((error: unknown) => outgoing.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    faults,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

async function receive(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function forward(incoming: IncomingMessage, url: URL, body: Buffer): Promise<Answer> {
  const { host, ...headers } = incoming.headers;
  // The product is told the name by which the client knows it: settings send SDKs back to it.
  const options = { method: incoming.method ?? "GET", headers: { ...headers, host }, agent: false };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url.href, options, resolve).on("error", reject).end(body);
  });
  return { status: response.statusCode ?? 0, headers: response.headers, body: await receive(response) };
}

function read(url: URL, { headers }: IncomingMessage, raw: Buffer): Omit<Passed, "status" | "taken"> {
  const gzipped = raw.subarray(0, 2).equals(GZIP_MAGIC);
  const body = (gzipped ? gunzipSync(raw, { maxOutputLength: BODY_BYTES }) : raw).toString();
  return { path: url.pathname, query: url.searchParams, headers, body, gzipped };
}

function reply(incoming: IncomingMessage, outgoing: ServerResponse, status: number, answer: Answer | null): void {
  if (answer !== null) {
    outgoing.writeHead(status, { ...answer.headers }).end(answer.body);
    return;
  }
  const origin = incoming.headers.origin;
  const cors = {
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "retry-after",
  };
  outgoing.writeHead(status, origin === undefined ? {} : cors).end("try again later");
}
