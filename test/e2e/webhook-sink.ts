import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import type { Event } from "../../shared/event.ts";
import { until } from "./wait.ts";

/** What a sink does with a request; it can be changed while it runs. */
export type Behaviour =
  | { kind: "ok" }
  | { kind: "status"; status: number; headers?: Record<string, string>; body?: string }
  /** Reads the request and never answers. */
  | { kind: "hang" }
  /** Answers 200 after `ms`. */
  | { kind: "slow"; ms: number }
  /** Cuts the connection once the request is read. */
  | { kind: "reset" }
  /** One step a request; the last one stays. */
  | { kind: "steps"; steps: Behaviour[] };

/**
 * How much of a delivery is kept: the parsed events, only their uuids (cut from the text), or nothing but counts, which is cheap
 * enough for a benchmark.
 */
export type Keep = "events" | "uuids" | "counts";

/** One request that reached the sink. */
export interface Delivery {
  headers: IncomingHttpHeaders;
  /** Raw body; empty unless events are kept. */
  body: string;
  events: Event[];
  uuids: string[];
  count: number;
  /** Milliseconds since the epoch. */
  arrivedAt: number;
  /** When the answer was handed to the connection; null as long as it is not, for ever after a hang or a reset. */
  answeredAt: number | null;
  status: number | null;
  /** The client went away before it had the answer. */
  aborted: boolean;
}

/** True where the sender was told that the events are taken. */
export const wasTaken = (delivery: Delivery): boolean =>
  delivery.status !== null && delivery.status >= 200 && delivery.status < 300;

const UUID_KEY = Buffer.from('"uuid":"');
const UUID_LENGTH = 36;
/** More than any destination is sent in one request. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** A receiver of webhooks on a free port of 127.0.0.1. */
export class WebhookSink {
  readonly url: string;
  /** In order of arrival; without entries where only counts are kept. */
  readonly deliveries: Delivery[] = [];
  /** Events in requests that were answered 2xx. */
  taken = 0;
  requests = 0;
  #behaviour: Behaviour;
  readonly #server: Server;
  readonly #keep: Keep;

  constructor(server: Server, behaviour: Behaviour, keep: Keep) {
    this.#server = server;
    this.#behaviour = behaviour;
    this.#keep = keep;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    server.on("request", (request, response) => this.#receive(request, response));
  }

  behave(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  /** Deliveries that were answered 2xx. */
  get accepted(): Delivery[] {
    return this.deliveries.filter(wasTaken);
  }

  /** How often each uuid was taken. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { uuids } of this.accepted) for (const uuid of uuids) counts.set(uuid, (counts.get(uuid) ?? 0) + 1);
    return counts;
  }

  /** The taken events of each user, in order of arrival. */
  byUser(): Map<string, Event[]> {
    const users = new Map<string, Event[]>();
    for (const event of this.accepted.flatMap(({ events }) => events)) {
      const list = users.get(event.distinct_id);
      if (list === undefined) users.set(event.distinct_id, [event]);
      else list.push(event);
    }
    return users;
  }

  /** Resolves once `count` events were taken. */
  async received(count: number, timeoutMs = 60_000): Promise<void> {
    const describe = () => `${this.taken} of ${count} events at ${this.url}`;
    await until(() => this.taken >= count, { timeoutMs, describe });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const arrivedAt = Date.now();
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      this.requests++;
      const delivery = this.#read(request, Buffer.concat(chunks), arrivedAt);
      if (this.#keep !== "counts") this.deliveries.push(delivery);
      response.on("close", () => {
        if (!response.writableFinished) delivery.aborted = true;
      });
      this.#answer(delivery, response, this.#next());
    });
  }

  #read(request: IncomingMessage, raw: Buffer, arrivedAt: number): Delivery {
    const bytes =
      request.headers["content-encoding"] === "gzip"
        ? Buffer.from(gunzipSync(raw, { maxOutputLength: MAX_BODY_BYTES }))
        : raw;
    const delivery: Delivery = {
      headers: request.headers,
      body: "",
      events: [],
      uuids: [],
      count: 0,
      arrivedAt,
      answeredAt: null,
      status: null,
      aborted: false,
    };
    if (this.#keep === "events") {
      delivery.body = bytes.toString();
      const parsed: Event | Event[] = JSON.parse(delivery.body);
      delivery.events = Array.isArray(parsed) ? parsed : [parsed];
      delivery.uuids = delivery.events.map((event) => event.uuid);
      delivery.count = delivery.events.length;
      return delivery;
    }
    forEachUuid(bytes, (at) => {
      delivery.count++;
      if (this.#keep === "uuids") delivery.uuids.push(bytes.toString("latin1", at, at + UUID_LENGTH));
    });
    return delivery;
  }

  #next(): Behaviour {
    let behaviour = this.#behaviour;
    while (behaviour.kind === "steps") {
      const [step, ...rest] = behaviour.steps;
      if (step === undefined) return { kind: "ok" };
      if (rest.length > 0) this.#behaviour = { kind: "steps", steps: rest };
      behaviour = step;
    }
    return behaviour;
  }

  #answer(delivery: Delivery, response: ServerResponse, behaviour: Behaviour): void {
    if (behaviour.kind === "hang") return;
    if (behaviour.kind === "reset") {
      response.socket?.resetAndDestroy();
      return;
    }
    if (behaviour.kind === "slow") {
      setTimeout(() => this.#end(delivery, response, 200, {}, ""), behaviour.ms);
      return;
    }
    const { status, headers = {}, body = "" } = behaviour.kind === "status" ? behaviour : { status: 200 };
    this.#end(delivery, response, status, headers, body);
  }

  #end(
    delivery: Delivery,
    response: ServerResponse,
    status: number,
    headers: Record<string, string>,
    body: string,
  ): void {
    // Nobody is there to read it: the sender cannot know that these events are taken.
    if (response.destroyed) return;
    delivery.status = status;
    delivery.answeredAt = Date.now();
    if (wasTaken(delivery)) this.taken += delivery.count;
    response.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers }).end(body);
  }
}

/** Calls back with the offset of every `"uuid"` value in JSON text, without parsing it. */
export function forEachUuid(bytes: Buffer, visit: (at: number) => void): void {
  for (let at = bytes.indexOf(UUID_KEY); at !== -1; at = bytes.indexOf(UUID_KEY, at)) {
    at += UUID_KEY.length;
    visit(at);
    at += UUID_LENGTH;
  }
}

export async function startWebhookSink(options: { behaviour?: Behaviour; keep?: Keep } = {}): Promise<WebhookSink> {
  const server = createServer();
  // The sender's connections stay usable over the pauses of a test.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return new WebhookSink(server, options.behaviour ?? { kind: "ok" }, options.keep ?? "events");
}
