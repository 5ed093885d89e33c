import { Buffer } from "node:buffer";
import type { SocketLike } from "kafkajs/src/network/connectionPool.js";
import type { TcpSocket } from "./destination.ts";

type Listener = (value?: unknown) => void;

/** A socket of the platform's with the face of one of Node's, as far as kafkajs looks at it. */
export class KafkaSocket implements SocketLike {
  readonly #socket: TcpSocket;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #listeners = new Map<string, Listener>();
  readonly #onClosed: () => void;
  #closed = false;

  /** `onClosed`: called once, whichever side has closed it. */
  constructor(socket: TcpSocket, onConnect: () => void, onClosed: () => void) {
    this.#socket = socket;
    this.#writer = socket.writable.getWriter();
    this.#onClosed = onClosed;
    // Failures are told by `opened`, reads and writes; these would only be unhandled.
    socket.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    void this.#run(onConnect);
  }

  on(event: "data" | "end" | "error" | "timeout", listener: Listener): this {
    this.#listeners.set(event, listener);
    return this;
  }

  write(bytes: Uint8Array): void {
    this.#writer.write(bytes).catch((error: unknown) => this.destroy(error));
  }

  end(): void {
    this.#close();
  }

  unref(): void {}

  /** Closes it and fails whatever waits for an answer on it. */
  destroy(error: unknown): void {
    if (this.#closed) return;
    this.#close();
    this.#listeners.get("error")?.(error instanceof Error ? error : new Error(String(error)));
  }

  async #run(onConnect: () => void): Promise<void> {
    try {
      await this.#socket.opened;
      if (this.#closed) return;
      onConnect();
      const reader = this.#socket.readable.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (this.#closed) return;
        if (done) break;
        this.#listeners.get("data")?.(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      }
      this.#close();
      this.#listeners.get("end")?.();
    } catch (error) {
      this.destroy(error);
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close().catch(() => {});
    this.#onClosed();
  }
}
