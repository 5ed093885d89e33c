import type { Headwater } from "../headwater.ts";
import { sleep } from "../wait.ts";
import type { WebhookSink } from "../webhook-sink.ts";

const EVERY_MS = 50;
const BATCH = 5;
const USERS = 7;

interface Sent {
  uuid: string;
  user: string;
  /** When its request was answered. */
  acceptedAt: number;
}

/** A team whose events come steadily, one request after the other, so that their order is the order of acceptance. */
export class SteadyTeam {
  readonly #headwater: Headwater;
  readonly #sink: WebhookSink;
  readonly #sent: Sent[] = [];
  /** Answers by status; 0: none. */
  readonly statuses: Record<number, number> = {};
  slowestAnswerMs = 0;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(headwater: Headwater, sink: WebhookSink) {
    this.#headwater = headwater;
    this.#sink = sink;
  }

  /** The part of a configuration that it is. */
  static config(sink: WebhookSink): object {
    const code =
      "export function transform(event) { event.properties.seen = [JSON.stringify({ n: event.properties.n })].map((text) => text.length); return event; }";
    return {
      id: "steady",
      tokens: ["phc_steady"],
      transformations: [{ id: "honest", code }],
      destinations: [
        { id: "hook", kind: "webhook", url: sink.url, ordered: true, batch: { max_events: 100, max_wait_ms: 20 } },
      ],
    };
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves once every event has arrived. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#sink.received(this.#sent.length);
  }

  /** Events that have been accepted so far. */
  get sent(): number {
    return this.#sent.length;
  }

  /** The events accepted from number `from` on: how late each arrived, ms; infinite where it has not. */
  lateness(from = 0): number[] {
    const arrived = new Map(
      this.#sink.accepted.flatMap(({ uuids, arrivedAt }) => uuids.map((uuid) => [uuid, arrivedAt] as const)),
    );
    return this.#sent
      .slice(from)
      .map(({ uuid, acceptedAt }) => (arrived.get(uuid) ?? Number.POSITIVE_INFINITY) - acceptedAt);
  }

  /** By user: what was accepted, and what arrived, in order. */
  get orders(): { accepted: Record<string, string[]>; arrived: Record<string, string[]> } {
    const users = new Map(this.#sent.map(({ uuid, user }) => [uuid, user]));
    const arrived = this.#sink.accepted.flatMap(({ uuids }) => uuids);
    const byUser = (uuids: string[]) =>
      Object.fromEntries(Map.groupBy(uuids, (uuid) => users.get(uuid) ?? "somebody else"));
    return { accepted: byUser(this.#sent.map(({ uuid }) => uuid)), arrived: byUser(arrived) };
  }

  async #run(): Promise<void> {
    for (let n = 0; !this.#stopped; n++) {
      const startedAt = performance.now();
      await this.#request(n);
      const took = performance.now() - startedAt;
      this.slowestAnswerMs = Math.max(this.slowestAnswerMs, took);
      await sleep(Math.max(0, EVERY_MS - took));
    }
  }

  async #request(n: number): Promise<void> {
    const batch = Array.from({ length: BATCH }, (_, i) => ({
      event: "tick",
      distinct_id: `user-${(n * BATCH + i) % USERS}`,
      uuid: crypto.randomUUID(),
      properties: { n: n * BATCH + i },
    }));
    const status = await this.#headwater.send({ api_key: "phc_steady", batch }).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status;
      },
      () => 0,
    );
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    if (status !== 200) return;
    const acceptedAt = Date.now();
    this.#sent.push(...batch.map(({ uuid, distinct_id: user }) => ({ uuid, user, acceptedAt })));
  }
}
