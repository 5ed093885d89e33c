import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { freshFolder } from "./headwater.ts";
import { RespConnection, RespError, type RespValue } from "./resp.ts";
import { until } from "./wait.ts";

/** Whether a real Redis can be started here. */
export const HAS_REDIS = spawnSync("redis-server", ["--version"]).status === 0;

const START_TIMEOUT_MS = 10_000;

/** A request that reached the front. */
export interface RedisRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

/**
 * A real Redis, in memory, behind a front that speaks Upstash's REST protocol: `POST /` takes a command as a JSON list, `POST /pipeline`
 * a list of them; a Bearer token; answers are `{"result"}` or `{"error"}`, their texts in base64 where `Upstash-Encoding` asks for it.
 */
export class RedisServer {
  readonly token = "secret of the test";
  /** Requests that the front has had, oldest first. */
  readonly requests: RedisRequest[] = [];
  /** Milliseconds by which the front delays its answers. */
  delayMs = 0;
  readonly #port: number;
  readonly #front = createServer((request, response) => void this.#serve(request, response));
  #child: ChildProcess | null = null;
  #connection: RespConnection | null = null;

  constructor(port: number) {
    this.#port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#front.address() as AddressInfo).port}`;
  }

  /** What capture is to be started with, by HEADWATER_VAR_. */
  get env(): Record<string, string> {
    return {
      HEADWATER_VAR_UPSTASH_REDIS_REST_URL: this.url,
      HEADWATER_VAR_UPSTASH_REDIS_REST_TOKEN: this.token,
    };
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#front.listen(0, "127.0.0.1", resolve));
    await this.start();
  }

  /** Empty: nothing is kept on disk. */
  async start(): Promise<void> {
    const options = ["--port", `${this.#port}`, "--bind", "127.0.0.1", "--save", "", "--dir", freshFolder()];
    this.#child = spawn("redis-server", options, { stdio: "ignore" });
    const connect = () => RespConnection.open(this.#port).catch(() => null);
    const describe = () => "waiting for Redis";
    this.#connection = await until(connect, { timeoutMs: START_TIMEOUT_MS, everyMs: 20, describe });
  }

  /** As after a crash. The front stays, and answers 502. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    this.#connection?.close();
    this.#connection = null;
    if (child === null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  async stop(): Promise<void> {
    await this.kill();
    this.#front.closeAllConnections();
    await new Promise((resolve) => this.#front.close(resolve));
  }

  /** Straight to Redis. Throws what Redis refuses. */
  async command(...words: (string | number)[]): Promise<RespValue> {
    if (this.#connection === null) throw new Error("Redis is down");
    return this.#connection.send(words.map(String));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    this.requests.push({ path: request.url ?? "", headers: request.headers, body });
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    const { status, answer } = await this.#answer(request, body);
    if (response.destroyed) return;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  async #answer(request: IncomingMessage, body: unknown): Promise<{ status: number; answer: unknown }> {
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      return { status: 401, answer: { error: "WRONGPASS invalid or missing auth token" } };
    }
    const base64 = request.headers["upstash-encoding"] === "base64";
    try {
      if (request.url === "/pipeline") {
        const commands = body as (string | number)[][];
        return { status: 200, answer: await Promise.all(commands.map((command) => this.#run(command, base64))) };
      }
      const answer = await this.#run(body as (string | number)[], base64);
      return { status: "error" in answer ? 400 : 200, answer };
    } catch (error) {
      return { status: 502, answer: { error: (error as Error).message } };
    }
  }

  /** What Redis refuses is the command's answer; anything else is thrown. */
  async #run(command: (string | number)[], base64: boolean): Promise<{ result: unknown } | { error: string }> {
    try {
      const result = await this.command(...command);
      return { result: base64 ? encoded(result) : result };
    } catch (error) {
      if (error instanceof RespError) return { error: error.message };
      throw error;
    }
  }
}

export async function startRedis(): Promise<RedisServer> {
  const redis = new RedisServer(await freePort());
  await redis.listen();
  return redis;
}

/** Numbers, null and OK stay. */
function encoded(value: RespValue): unknown {
  if (Array.isArray(value)) return value.map(encoded);
  return typeof value === "string" && value !== "OK" ? Buffer.from(value).toString("base64") : value;
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
