import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { Readable, Writable } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { Connect } from "../destinations/destination.ts";

/** `connect` of the Workers runtime, on Node's sockets. */
export const nodeConnect: Connect = ({ hostname: host, port }, { secureTransport }) => {
  const tls = secureTransport === "on";
  const socket = tls ? connectTls({ host, port, servername: host }) : connectTcp({ host, port });
  const opened = once(socket, tls ? "secureConnect" : "connect");
  const closed = once(socket, "close").then(() => {});
  closed.catch(() => {});
  return {
    readable: Readable.toWeb(socket) as unknown as ReadableStream<Uint8Array>,
    writable: Writable.toWeb(socket) as WritableStream<Uint8Array>,
    ...{ opened, closed },
    close: async () => {
      socket.destroy();
    },
  };
};
