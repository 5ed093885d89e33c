import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

/** Requests that a run may make before their arrival times overwrite each other. */
const REQUESTS = 1_000_000;

/** A webhook receiver on another thread; see `sink-worker.ts`. */
export interface Sink {
  url: string;
  /** Events received so far. */
  delivered(): number;
  /** Milliseconds since the epoch at which the last event of request k arrived; 0 if none has. */
  arrivedAt(k: number): number;
  stop(): Promise<void>;
}

/** `size`: events per request of the load. */
export async function startSink(size: number): Promise<Sink> {
  const counts = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const arrivals = new Float64Array(new SharedArrayBuffer(REQUESTS * Float64Array.BYTES_PER_ELEMENT));
  const worker = new Worker(join(import.meta.dirname, "sink-worker.ts"), { workerData: { counts, arrivals, size } });
  const [port] = (await once(worker, "message")) as [number];
  return {
    url: `http://127.0.0.1:${port}/`,
    delivered: () => Atomics.load(counts, 0),
    arrivedAt: (k) => arrivals[k % REQUESTS] ?? 0,
    stop: async () => {
      await worker.terminate();
    },
  };
}
