import type { Headwater } from "./headwater.ts";
import { sleep } from "./wait.ts";

export interface TrafficOptions {
  token: string;
  /** Requests a second, evenly spaced. */
  perSecond: number;
  /** Events a request. */
  batch: number;
  users?: number;
  properties?: Record<string, unknown>;
}

/** How finely requests are spaced. */
const TICK_MS = 5;

/** Steady traffic that remembers what it was promised: every event of a request that was answered 200. */
export class Traffic {
  /** uuid → when its request was answered 200, ms since the epoch. */
  readonly answered = new Map<string, number>();
  /** uuids of requests that got no 200: they may or may not have been taken. */
  readonly unanswered = new Set<string>();
  /** Requests by status; 0 is a connection that broke or was refused. */
  readonly statuses: Record<number, number> = {};
  readonly #headwater: Headwater;
  readonly #options: TrafficOptions;
  readonly #open = new Set<Promise<void>>();
  #sent = 0;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(headwater: Headwater, options: TrafficOptions) {
    this.#headwater = headwater;
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    this.#running = this.#run();
  }

  /** Resolves once every request that was sent has its answer or its error. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#open);
  }

  async during(ms: number): Promise<void> {
    this.start();
    await sleep(ms);
    await this.stop();
  }

  /** How many requests failed with a status of 500 or above. */
  get serverErrors(): number {
    return Object.entries(this.statuses).reduce((sum, [status, count]) => sum + (Number(status) >= 500 ? count : 0), 0);
  }

  async #run(): Promise<void> {
    const startedAt = performance.now();
    for (let due = 0; !this.#stopped; ) {
      const now = Math.floor(((performance.now() - startedAt) / 1_000) * this.#options.perSecond);
      for (; due < now; due++) {
        const request = this.#request();
        this.#open.add(request);
        void request.finally(() => this.#open.delete(request));
      }
      await sleep(TICK_MS);
    }
  }

  async #request(): Promise<void> {
    const { batch, token, users = 20, properties = {} } = this.#options;
    const events = Array.from({ length: batch }, () => {
      const n = this.#sent++;
      return {
        event: "tick",
        distinct_id: `user-${n % users}`,
        uuid: crypto.randomUUID(),
        properties: { ...properties, n },
      };
    });
    const status = await this.#post({ api_key: token, batch: events });
    const now = Date.now();
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    for (const { uuid } of events) {
      if (status === 200) this.answered.set(uuid, now);
      else this.unanswered.add(uuid);
    }
  }

  async #post(body: unknown): Promise<number> {
    try {
      const response = await this.#headwater.send(body);
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0;
    }
  }
}
