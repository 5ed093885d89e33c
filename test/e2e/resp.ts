import { connect, type Socket } from "node:net";

export type RespValue = string | number | null | RespValue[];

/** What Redis answers to a command that it refuses. */
export class RespError extends Error {}

interface Waiting {
  resolve(value: RespValue): void;
  reject(error: Error): void;
}

/** One connection to Redis, RESP 2: commands go out as they come, answers come in the same order. */
export class RespConnection {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", () => {});
    socket.on("close", () => this.#end());
  }

  static open(port: number): Promise<RespConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new RespConnection(socket));
      });
    });
  }

  send(words: readonly string[]): Promise<RespValue> {
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error("the connection to Redis is closed"));
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`*${words.length}\r\n${parts.join("")}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #end(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error("the connection to Redis was closed"));
  }

  #receive(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (let read = readValue(this.#buffer, 0); read !== null; read = readValue(this.#buffer, 0)) {
      this.#buffer = this.#buffer.subarray(read.end);
      const next = this.#waiting.shift();
      if (read.value instanceof RespError) next?.reject(read.value);
      else next?.resolve(read.value);
    }
  }
}

interface Read<T> {
  value: T;
  /** Where what follows begins. */
  end: number;
}

/** Null as long as the value is not all there. */
function readValue(buffer: Buffer, at: number): Read<RespValue | RespError> | null {
  const lineEnd = buffer.indexOf("\r\n", at);
  if (lineEnd === -1) return null;
  const line = buffer.toString("utf8", at + 1, lineEnd);
  const end = lineEnd + 2;
  switch (buffer.toString("latin1", at, at + 1)) {
    case "+":
      return { value: line, end };
    case "-":
      return { value: new RespError(line), end };
    case ":":
      return { value: Number(line), end };
    case "$":
      return readText(buffer, end, Number(line));
    case "*":
      return readList(buffer, end, Number(line));
    default:
      throw new Error(`Redis sent what is no RESP: ${line.slice(0, 20)}`);
  }
}

function readText(buffer: Buffer, at: number, length: number): Read<string | null> | null {
  if (length === -1) return { value: null, end: at };
  const end = at + length + 2;
  return buffer.length < end ? null : { value: buffer.toString("utf8", at, at + length), end };
}

function readList(buffer: Buffer, at: number, count: number): Read<RespValue[] | null> | null {
  if (count === -1) return { value: null, end: at };
  const list: RespValue[] = [];
  for (let end = at; ; ) {
    if (list.length === count) return { value: list, end };
    const read = readValue(buffer, end);
    if (read === null) return null;
    list.push(read.value instanceof RespError ? read.value.message : read.value);
    end = read.end;
  }
}
