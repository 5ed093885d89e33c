import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** One request as it arrived. */
export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** The body as it came, compressed or not. */
  raw: Buffer;
}

export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
}

export interface HttpSink {
  url: string;
  received: Received[];
  close(): Promise<void>;
}

/** A real HTTP server on a free local port that answers as told; "hang" never answers, "drop" closes the connection. */
export async function anHttpSink(
  answer: (request: Received) => Reply | "hang" | "drop",
  host = "127.0.0.1",
): Promise<HttpSink> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      const raw = Buffer.concat(chunks);
      const one = { method, path, headers, body: raw.toString(), raw };
      received.push(one);
      const reply = answer(one);
      if (reply === "hang") return;
      if (reply === "drop") request.socket.destroy();
      else response.writeHead(reply.status ?? 200, reply.headers).end(reply.body ?? "");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
