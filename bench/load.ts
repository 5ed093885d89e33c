/**
 * An HTTP/1.1 load generator on bare sockets: requests are ready-made bytes, answers are read as far as status and length. It
 * costs a fraction of what the server pays, so that a figure is the server's. One request at a time per connection, keep-alive.
 */
import { connect, type Socket } from "node:net";

export interface LoadOptions {
  /** Where to connect; the path is in the request's own bytes. */
  url: string;
  connections: number;
  /** The bytes of request n (0, 1, …), head and body. The buffer must not change afterwards. */
  request: (n: number) => Buffer;
  /** Stops sending after so long, … */
  durationMs?: number;
  /** … or after so many requests, whichever comes first. One of the two is required. */
  count?: number;
  /** Requests per second, evenly spaced; as fast as answers come if absent. */
  rate?: number;
  onAnswer?: (n: number, status: number) => void;
}

export interface LoadResult {
  /** Answered, with whatever status. */
  answers: number;
  /** From the first request to the last answer. */
  seconds: number;
  rps: number;
  statuses: Record<number, number>;
  /** Requests whose connection broke before the answer. */
  broken: number;
  /** From when the request was due, so that a server that falls behind a rate shows it. */
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const STATUS_AT = 9;
const ZERO = 0x30;
/** How finely a rate is spaced; timers are no finer. */
const PACE_MS = 1;

/** Bytes of a POST with a JSON body. */
export function postRequest(url: string, path: string, body: Buffer): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Reads answers one after the other from a connection's bytes. */
export class AnswerReader {
  #rest: Buffer | null = null;
  /** A server's answers are mostly alike to the byte: comparing costs a tenth of reading. */
  #last: Buffer | null = null;
  #lastStatus = 0;

  /** The status of the answer that is complete with this chunk; null while it is not. */
  push(chunk: Buffer): number | null {
    if (this.#rest === null && this.#last?.equals(chunk)) return this.#lastStatus;
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
    const end = answerEnd(bytes);
    this.#rest = end === null ? bytes : null;
    if (end === null) return null;
    const digit = (at: number) => (bytes[STATUS_AT + at] as number) - ZERO;
    this.#last = bytes;
    this.#lastStatus = digit(0) * 100 + digit(1) * 10 + digit(2);
    return this.#lastStatus;
  }
}

/** Where the first answer ends; null while it is not all there. */
function answerEnd(bytes: Buffer): number | null {
  const head = bytes.indexOf(HEAD_END);
  if (head === -1) return null;
  const text = bytes.toString("latin1", 0, head).toLowerCase();
  const at = text.indexOf("\r\ncontent-length:");
  const body = head + HEAD_END.length;
  if (at !== -1) {
    const end = body + Number.parseInt(text.slice(at + 17), 10);
    return bytes.length >= end ? end : null;
  }
  if (!text.includes("\r\ntransfer-encoding: chunked")) return body;
  return bytes.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK) && bytes.length > body ? bytes.length : null;
}

/** Runs the load and resolves once every request sent was answered. Throws if no connection can be made. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  if (options.durationMs === undefined && options.count === undefined) throw new Error("load: durationMs or count");
  return new Run(options).result();
}

class Run {
  readonly #options: LoadOptions;
  readonly #latencies: number[] = [];
  readonly #statuses: Record<number, number> = {};
  readonly #idle: Connection[] = [];
  #connections: Connection[] = [];
  #sent = 0;
  #open = 0;
  #broken = 0;
  #startedAt = 0;
  #finish: () => void = () => {};

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async result(): Promise<LoadResult> {
    const { connections, url } = this.#options;
    this.#connections = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)));
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    this.#startedAt = performance.now();
    for (const connection of this.#connections) this.#adopt(connection);
    if (this.#options.rate === undefined) for (const connection of this.#connections) this.#next(connection);
    else this.#pace(this.#options.rate);
    await finished;
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    for (const connection of this.#connections) connection.close();
    return this.#summary(seconds);
  }

  #adopt(connection: Connection): void {
    connection.onAnswer = (status) => {
      this.#open--;
      this.#latencies.push(performance.now() - connection.dueAt);
      this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
      this.#options.onAnswer?.(connection.request, status);
      this.#next(connection);
    };
    connection.onBroken = () => {
      if (connection.busy) {
        this.#open--;
        this.#broken++;
      }
      this.#connections = this.#connections.filter((other) => other !== connection);
      // A connection for a connection, or the load would fade away and look like a slow server.
      Connection.open(this.#options.url).then(
        (fresh) => {
          this.#connections.push(fresh);
          this.#adopt(fresh);
          this.#next(fresh);
        },
        () => this.#finishIfDone(),
      );
    };
  }

  /** What a free connection does: the next request at once, or the wait for the next one due. */
  #next(connection: Connection): void {
    if (this.#done()) this.#finishIfDone();
    else if (this.#options.rate === undefined) this.#send(connection, performance.now());
    else this.#idle.push(connection);
  }

  #send(connection: Connection, dueAt: number): void {
    this.#open++;
    const n = this.#sent++;
    connection.send(n, this.#options.request(n), dueAt);
  }

  #pace(rate: number): void {
    for (const connection of this.#connections) this.#idle.push(connection);
    const tick = () => {
      if (this.#done()) {
        this.#finishIfDone();
        return;
      }
      const due = Math.floor(((performance.now() - this.#startedAt) / 1_000) * rate);
      while (this.#sent < due && this.#idle.length > 0 && !this.#done()) {
        this.#send(this.#idle.pop() as Connection, this.#startedAt + (this.#sent / rate) * 1_000);
      }
      setTimeout(tick, PACE_MS);
    };
    tick();
  }

  #done(): boolean {
    const { count = Number.POSITIVE_INFINITY, durationMs = Number.POSITIVE_INFINITY } = this.#options;
    return this.#sent >= count || performance.now() - this.#startedAt >= durationMs;
  }

  #finishIfDone(): void {
    if (this.#open === 0 && (this.#done() || this.#connections.length === 0)) this.#finish();
  }

  #summary(seconds: number): LoadResult {
    const sorted = Float64Array.from(this.#latencies).sort();
    return {
      answers: sorted.length,
      seconds,
      rps: sorted.length / seconds,
      statuses: this.#statuses,
      broken: this.#broken,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      maxMs: sorted.at(-1) ?? Number.NaN,
    };
  }
}

/** Of ascending values; NaN of none. */
export function percentile(sorted: ArrayLike<number>, fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

class Connection {
  onAnswer: (status: number) => void = () => {};
  onBroken: () => void = () => {};
  busy = false;
  request = -1;
  dueAt = 0;
  readonly #socket: Socket;
  readonly #reader = new AnswerReader();

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      const status = this.#reader.push(chunk);
      if (status === null) return;
      this.busy = false;
      this.onAnswer(status);
    });
    socket.on("error", () => {});
    socket.on("close", () => this.onBroken());
  }

  static open(url: string): Promise<Connection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => resolve(new Connection(socket)));
      socket.once("error", reject);
    });
  }

  send(n: number, bytes: Buffer, dueAt: number): void {
    this.request = n;
    this.busy = true;
    this.dueAt = dueAt;
    this.#socket.write(bytes);
  }

  close(): void {
    this.onBroken = () => {};
    this.#socket.destroy();
  }
}
