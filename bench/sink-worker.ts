/**
 * A webhook receiver on a thread of its own, so that neither the load generator nor the product waits for it. It answers 200 at
 * once, counts events, and notes when the last event of each request of a `BatchTemplate` arrived.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { forEachUuid } from "../test/e2e/webhook-sink.ts";
import { readCounter } from "./events.ts";

const { counts, arrivals, size } = workerData as { counts: Int32Array; arrivals: Float64Array; size: number };

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const now = performance.timeOrigin + performance.now();
    const bytes = Buffer.concat(chunks);
    let events = 0;
    forEachUuid(bytes, (at) => {
      events++;
      arrivals[Math.floor(readCounter(bytes, at) / size) % arrivals.length] = now;
    });
    Atomics.add(counts, 0, events);
    response.writeHead(200, { "content-length": 0 }).end();
  });
});
server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port));
