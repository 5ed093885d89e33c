import { encodeLines } from "../../../shared/ndjson.ts";
import type { OutboxAppend } from "../../../shared/outbox-api.ts";
import type { Sql } from "../../../shared/sql.ts";
import { FakeClock } from "../../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../../shared/testing/node-sql.ts";
import type { Sent } from "../destinations/destination.ts";
import { webhook } from "../destinations/webhook.ts";
import { Drain } from "../drain.ts";
import { Outbox, type OutboxLimits } from "../outbox.ts";
import type { LoadedDestination, ReadyDestination } from "../outbox-config.ts";
import type { Work } from "../work.ts";
import { FakeTimers, settled } from "./fake-timers.ts";

export const DELIVERED: Sent = { outcomes: { result: "delivered" } };
export const FAILED: Sent = { outcomes: { result: "retry", reason: "sink answered 500", status: 500 } };

/** A webhook's configuration, parsed by its own schema. */
export function aDestination(settings: Record<string, unknown> = {}, fingerprint = "v1"): ReadyDestination {
  const parsed = webhook.settings.parse({ url: "https://sink.test/in", batch: { max_wait_ms: 0 }, ...settings });
  return { state: "ready", kind: webhook as ReadyDestination["kind"], settings: parsed, secrets: [], fingerprint };
}

/** An append of `count` events with uuids "<lane>-<seq>". */
export function anAppend(after: number, count: number, overrides: Partial<OutboxAppend> = {}): OutboxAppend {
  const lane = overrides.lane ?? "acme:0";
  const lines = Array.from({ length: count }, (_, i) => anEventLine(`${lane}-${after + i + 1}`));
  return {
    ...{ team: "acme", destination: "hook", lane, after, through: after + count },
    ...{ events: encodeLines(lines), seqs: null, tokens: [["phc_acme", count]] },
    ...{ dropped: [], filtered: [], expired: [] },
    ...overrides,
  };
}

export function anEventLine(uuid: string, user = "u"): string {
  return JSON.stringify({ uuid, event: "$pageview", distinct_id: user, properties: {} });
}

export function uuidsOf(work: Pick<Work, "events">): string[] {
  const lines = new TextDecoder().decode(work.events).split("\n");
  return lines.map((line) => (JSON.parse(line) as { uuid: string }).uuid);
}

/**
 * An outbox and its drain on a real SQLite, with a clock that is moved by hand and a destination that answers as told. `crash`
 * builds both anew from the store, as a restart would; answers that come after it are lost.
 */
export class OutboxRig {
  readonly clock = new FakeClock();
  readonly timers = new FakeTimers(this.clock);
  readonly sql: Sql;
  /** Every request that was sent, in order. */
  readonly requests: Work[] = [];
  readonly logs: Record<string, unknown>[] = [];
  answer: (work: Work) => Sent | Promise<Sent> = () => DELIVERED;
  config: LoadedDestination | Error;
  limits: Partial<OutboxLimits> = {};
  random = () => 1;
  outbox!: Outbox;
  drain!: Drain;
  #life = 0;

  constructor(config: LoadedDestination | Error = aDestination(), limits: Partial<OutboxLimits> = {}, sql = nodeSql()) {
    this.sql = sql;
    this.config = config;
    this.limits = limits;
    this.crash();
  }

  crash(): void {
    const life = ++this.#life;
    this.timers.clear();
    const { clock, limits } = this;
    const random = () => this.random();
    this.outbox = new Outbox({ sql: this.sql, clock, random, newId: () => `salt${life}`, limits });
    let cancel = () => {};
    this.drain = new Drain({
      ...{ outbox: this.outbox, clock, random, keepAlive: () => {}, log: (record) => void this.logs.push(record) },
      // Without time passing, but not at once: a crash may come between. The process that is dead books nothing.
      soon: (flush) => queueMicrotask(() => life === this.#life && flush()),
      load: async () => {
        if (this.config instanceof Error) throw this.config;
        return this.config;
      },
      attempt: async (_destination, _team, work) => {
        if (life === this.#life) this.requests.push(work);
        const sent = await this.answer(work);
        // The process that asked is dead: nobody hears the answer.
        return life === this.#life ? sent : new Promise<Sent>(() => {});
      },
      schedule: (at) => {
        cancel();
        cancel = at === null ? () => {} : this.timers.after(Math.max(0, at - clock.now()), () => this.drain.kick());
      },
    });
    this.drain.kick();
  }

  append(append: OutboxAppend) {
    const appended = this.outbox.append(append);
    this.drain.kick();
    return appended;
  }

  /** Lets everything happen that happens without time passing. */
  settled(): Promise<void> {
    return settled().then(settled);
  }

  advance(ms: number): Promise<void> {
    return this.timers.advance(ms);
  }

  /** The uuids of every request sent so far. */
  sent(): string[][] {
    return this.requests.map(uuidsOf);
  }
}

/** What is wrong with an outbox's books; empty where they balance and agree with the rows. */
export function bookProblems(outbox: Outbox): string[] {
  const { accepted, delivered, filtered, dropped, dead, expired, pending } = outbox.book();
  const held = outbox.counted();
  const problems: string[] = [];
  const sum = delivered + filtered + dropped + dead + expired + pending;
  if (accepted !== sum) problems.push(`accepted ${accepted} is not the sum ${sum}`);
  if (held.fresh + held.retrying !== pending)
    problems.push(`pending ${pending} but rows hold ${held.fresh + held.retrying}`);
  if (held.dead !== dead) problems.push(`dead ${dead} but rows hold ${held.dead}`);
  if (held.freshBytes + held.retryBytes !== outbox.pending().bytes)
    problems.push("pending bytes differ from the rows'");
  return problems;
}
