import { delayP99Ms } from "./delay.ts";
import { type Headwater, startHeadwater } from "./headwater.ts";
import { Traffic } from "./traffic.ts";
import { sleep } from "./wait.ts";
import { type Behaviour, startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const TROUBLES: Record<string, Behaviour> = {
  "dead-500": { kind: "status", status: 500 },
  "dead-reset": { kind: "reset" },
  "dead-hang": { kind: "hang" },
  slow: { kind: "slow", ms: 9_000 },
  throttling: { kind: "status", status: 429, headers: { "retry-after": "1" } },
};
export const HEALTHY = ["healthy-1", "healthy-2", "healthy-3", "healthy-4"];
export const DEAD = ["dead-500", "dead-reset", "dead-hang"];
export const IDS = [...HEALTHY, ...Object.keys(TROUBLES), "flapping"];

const FLAP_MS = 700;
/** The first events pay for starting objects and connections. */
const WARM_MS = 2_000;

export interface Beside {
  /** Requests to each while six of them were in trouble. */
  tries: Record<string, number>;
  /** Of the healthy ones: p99 from answer to delivery, in milliseconds, before the trouble and beside it. */
  p99Ms: { calm: number; beside: number }[];
}

/** Ten webhooks that get the same events, of which three can be dead, one slow, one flapping and one throttling. */
export class TenWebhooks {
  readonly headwater: Headwater;
  readonly sinks: Readonly<Record<string, WebhookSink>>;
  readonly traffic: Traffic;

  private constructor(headwater: Headwater, sinks: Record<string, WebhookSink>) {
    this.headwater = headwater;
    this.sinks = sinks;
    this.traffic = new Traffic(headwater, { token: "phc_acme", perSecond: 30, batch: 5 });
  }

  static async start(): Promise<TenWebhooks> {
    const sinks: Record<string, WebhookSink> = {};
    for (const id of IDS) sinks[id] = await startWebhookSink({ keep: "uuids" });
    const destinations = IDS.map((id) => ({
      ...{ id, kind: "webhook", url: sinks[id]?.url, batch: { max_events: 100, max_wait_ms: 100 } },
      retry: { base_ms: 200, max_delay_ms: 5_000 },
      ...(id === "dead-hang" ? { timeout_ms: 1_000 } : {}),
    }));
    const config = { teams: [{ id: "acme", tokens: ["phc_acme"], destinations }] };
    return new TenWebhooks(await startHeadwater({ config }), sinks);
  }

  /** Traffic without trouble, then with it; at its end all are well again, with their backlogs. */
  async run(calmMs: number, troubleMs: number): Promise<Beside> {
    await this.traffic.during(WARM_MS);
    const begin = Date.now();
    await this.traffic.during(calmMs);
    const troubled = Date.now();
    for (const [id, behaviour] of Object.entries(TROUBLES)) this.sinks[id]?.behave(behaviour);
    const before = this.#requests();
    this.traffic.start();
    for (let isDown = true; Date.now() < troubled + troubleMs; isDown = !isDown) {
      this.sinks.flapping?.behave(isDown ? { kind: "status", status: 503 } : { kind: "ok" });
      await sleep(FLAP_MS);
    }
    await this.traffic.stop();
    const end = Date.now();
    const tries = Object.fromEntries(IDS.map((id) => [id, (this.#requests()[id] ?? 0) - (before[id] ?? 0)]));
    for (const sink of Object.values(this.sinks)) sink.behave({ kind: "ok" });
    await this.headwater.waitForQuiet("acme", IDS, { accepted: this.traffic.answered.size, timeoutMs: 240_000 });
    const p99Ms = HEALTHY.map((id) => {
      const p99 = (from: number, to: number) => delayP99Ms(this.sinks[id] as WebhookSink, this.traffic, from, to);
      return { calm: p99(begin, troubled), beside: p99(troubled, end) };
    });
    return { tries, p99Ms };
  }

  async stop(): Promise<void> {
    await this.headwater.stop();
    await Promise.all(Object.values(this.sinks).map((sink) => sink.stop()));
  }

  #requests(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.sinks).map(([id, sink]) => [id, sink.requests]));
  }
}
