/**
 * Measures inside one workerd: an outbox that drains to a webhook, and bare fetches of the same bodies. The clock of a worker stands
 * still while it computes, so the time is taken by whoever asks.
 *
 * `PUT /` (JSON: Setup) first. `POST /fill` fills the outbox, `POST /drain` then resolves when all of it is delivered; `POST /bare` when
 * the same requests have been fetched with nothing around them.
 */
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../shared/clock.ts";
import { encodeLines, linesToJsonArray } from "../shared/ndjson.ts";
import { objectSql } from "../shared/sql.ts";
import { attempt } from "../workers/deliver/attempt.ts";
import { webhook } from "../workers/deliver/destinations/webhook.ts";
import { Drain } from "../workers/deliver/drain.ts";
import { Kept } from "../workers/deliver/kept.ts";
import { Outbox } from "../workers/deliver/outbox.ts";
import type { ReadyDestination } from "../workers/deliver/outbox-config.ts";
import type { Timers } from "../workers/deliver/timers.ts";
import { Wakeups } from "../workers/deliver/wakeups.ts";

interface Env {
  DELIVERY: DurableObjectNamespace<Delivery>;
}

interface Setup {
  url: string;
  /** One event's JSON. */
  event: string;
  requests: number;
  /** Events a request. */
  size: number;
}

/** As many as the outbox of a webhook has. */
const CONCURRENCY = 4;
/** As the outbox object has it. */
const SETTLE_MS = 5;
const POLL_MS = 2;
/** What the pump brings at a time. */
const APPEND_COUNT = 500;

const timers: Timers = {
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

export class Delivery extends DurableObject<Env> {
  readonly #outbox: Outbox;
  #drain: Drain | null = null;
  #seq = 0;
  #setup: Setup = { url: "", event: "{}", requests: 0, size: 1 };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const newId = () => crypto.randomUUID();
    this.#outbox = new Outbox({ sql: objectSql(ctx.storage), clock: systemClock, random: Math.random, newId });
  }

  async use(setup: Setup): Promise<void> {
    this.#setup = setup;
    this.#drain = null;
  }

  async fill(): Promise<void> {
    const { requests, size, event } = this.#setup;
    for (let left = requests * size; left > 0; left -= APPEND_COUNT) {
      const count = Math.min(left, APPEND_COUNT);
      const [after, through] = [this.#seq, this.#seq + count];
      this.#outbox.append({
        ...{ team: "bench", destination: "hook", lane: "bench:0", after, through, seqs: null },
        ...{ events: encodeLines(Array<string>(count).fill(event)), tokens: [["phc_bench", count]] },
        ...{ dropped: [], filtered: [], expired: [] },
      });
      this.#seq = through;
    }
  }

  async drain(): Promise<void> {
    this.#drain ??= this.#newDrain();
    this.#drain.kick();
    while (this.#outbox.pending().count > 0) await scheduler.wait(POLL_MS);
  }

  async bare(): Promise<void> {
    const { url, event, requests, size } = this.#setup;
    const lines = encodeLines(Array<string>(size).fill(event));
    const body = size === 1 ? lines : linesToJsonArray(lines);
    let left = requests;
    const one = async () => {
      while (left-- > 0) {
        const headers = { "content-type": "application/json" };
        const response = await fetch(url, { method: "POST", headers, body });
        if (!response.ok) throw new Error(`the sink answered ${response.status}`);
        await response.body?.cancel();
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, one));
  }

  #newDrain(): Drain {
    const { url, size } = this.#setup;
    const settings = webhook.settings.parse({
      url,
      batch: { max_events: size, max_wait_ms: 0 },
      concurrency: CONCURRENCY,
    });
    const kind = webhook as ReadyDestination["kind"];
    const ready: ReadyDestination = { state: "ready", kind, settings, secrets: [], fingerprint: crypto.randomUUID() };
    const connect = () => {
      throw new Error("bench: a webhook needs no socket");
    };
    const print = () => {};
    const deps = {
      clock: systemClock,
      timers,
      fetch: fetch.bind(globalThis),
      connect,
      kept: new Kept(timers, 0),
      print,
    };
    const wakeups: Wakeups = new Wakeups({
      ...{ clock: systemClock, timers, wake: () => drain.kick() },
      setAlarm: (at) => void this.ctx.storage.setAlarm(at),
    });
    const drain: Drain = new Drain({
      ...{ outbox: this.#outbox, clock: systemClock, random: Math.random, log: (record) => console.error(record) },
      load: async () => ready,
      attempt: (destination, team, work) => attempt(destination, { ...work, team, destination: "hook" }, deps),
      soon: (flush) => void timers.after(SETTLE_MS, flush),
      schedule: (at) => wakeups.at(at),
      keepAlive: (work) => this.ctx.waitUntil(work),
    });
    return drain;
  }
}

export default {
  async fetch(request, env) {
    const delivery = env.DELIVERY.getByName("one");
    const { pathname } = new URL(request.url);
    if (request.method === "PUT") await delivery.use(await request.json<Setup>());
    else if (pathname === "/fill") await delivery.fill();
    else if (pathname === "/drain") await delivery.drain();
    else if (pathname === "/bare") await delivery.bare();
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Env>;
