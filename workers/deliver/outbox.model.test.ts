import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { appendRun } from "../../shared/runs.ts";
import type { Outcome, Sent } from "./destinations/destination.ts";
import { discardDeadLetters } from "./replay.ts";
import { Replays } from "./replays.ts";
import type { Reshaped } from "./reshaped.ts";
import { aDestination, anEventLine, bookProblems, DELIVERED, OutboxRig, uuidsOf } from "./testing/outbox-rig.ts";
import { replayAll } from "./testing/replay-all.ts";

/**
 * Random histories of an outbox: appends with overlapping borders, answers of every kind, answers that never come, crashes at any
 * point, time passing, pauses, replays here and elsewhere, dead letters discarded, a script of the destination's that shapes, fails and is mended. After every step the books balance and agree with the rows; what has been booked as delivered is
 * never sent again; an ordered destination never gets an event while an earlier one of the same user is pending; in the end nothing is missing.
 */
const EVERY_ANSWER = ["ok", "fail", "throttle", "partial", "dead", "hang", "late", "disable"] as const;
type AnswerKind = (typeof EVERY_ANSWER)[number];
/** Longer than a step of time, shorter than most. */
const LATE_MS = 300;
const EVERY_FATE = ["line", "line", "line", "two", "shaped", "failed", "dropped", "filtered", "expired"] as const;
type Fate = (typeof EVERY_FATE)[number];
/** What the destination's script does on a replay. */
const EVERY_SCRIPT = ["works", "splits", "drops", "fails", "some", "away"] as const;
type ScriptKind = (typeof EVERY_SCRIPT)[number];

type Action =
  | { do: "append"; lane: number; back: number; fates: Fate[] }
  | { do: "answer"; kind: AnswerKind }
  | { do: "advance"; ms: number }
  | { do: "crash" }
  | { do: "replay"; script: ScriptKind }
  | { do: "move"; trouble: Trouble }
  | { do: "discard"; of: "all" | "some" }
  | { do: "pause" | "resume" };

/** What befalls the first append of a replay into another outbox, once that has taken it. */
const EVERY_TROUBLE = ["none", "lost", "crash"] as const;
type Trouble = (typeof EVERY_TROUBLE)[number];

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      lane: fc.nat(1),
      back: fc.nat(6),
      fates: fc.array(fc.constantFrom(...EVERY_FATE), { maxLength: 9 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("answer" as const), kind: fc.constantFrom(...EVERY_ANSWER) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.constantFrom(0, 50, 1_500, 20_000) }),
  },
  { weight: 2, arbitrary: fc.constant({ do: "crash" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("replay" as const), script: fc.constantFrom(...EVERY_SCRIPT) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("move" as const), trouble: fc.constantFrom(...EVERY_TROUBLE) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("discard" as const), of: fc.constantFrom("all" as const, "some" as const) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "pause" as const }) },
  { weight: 2, arbitrary: fc.constant({ do: "resume" as const }) },
);

const settings = fc.record({
  ordered: fc.boolean(),
  concurrency: fc.integer({ min: 1, max: 4 }),
  maxEvents: fc.integer({ min: 1, max: 7 }),
  maxChunkBytes: fc.constantFrom(150, 400, 1_000_000),
  fixedCut: fc.boolean(),
});

test("no history of appends, failures and crashes loses, doubles or reorders events (invariants 2, 3, 5)", async () => {
  const history = fc.asyncProperty(settings, fc.array(action, { maxLength: 40 }), async (config, actions) => {
    const model = new Model(config);
    for (const step of actions) {
      await model.apply(step);
      expect(model.problems()).toEqual([]);
    }
    await model.finish();
    expect(model.problems()).toEqual([]);
    expect(model.missing()).toEqual([]);
  });
  await fc.assert(history, { numRuns: 250 });
}, 120_000);

interface ModelConfig {
  ordered: boolean;
  concurrency: number;
  maxEvents: number;
  maxChunkBytes: number;
  /** Requests are written down before they are sent. */
  fixedCut: boolean;
}

class Model {
  /** Where dead letters are moved to. */
  readonly #other = new OutboxRig();
  readonly #moved = new Set<string>();
  #paused = false;
  #replays = 0;
  readonly #rig: OutboxRig;
  readonly #ordered: boolean;
  readonly #config: ModelConfig;
  #version = 0;
  #kind: AnswerKind = "ok";
  /** What each lane holds, by seq: it sends the same again and again. */
  readonly #lanes: Fate[][] = [[], []];
  readonly #taken = [0, 0];
  #accepted = 0;
  /** Uuids in the order in which the outbox took them. */
  readonly #events: string[] = [];
  readonly #delivered = new Set<string>();
  readonly #replayed = new Set<string>();
  /** By the script, in a replay. */
  readonly #dropped = new Set<string>();
  readonly #found: string[] = [];

  constructor(config: ModelConfig) {
    this.#config = config;
    this.#ordered = config.ordered;
    this.#rig = new OutboxRig(this.#destination(), { maxChunkBytes: config.maxChunkBytes });
    this.#rig.random = () => 0.5;
    this.#rig.answer = (work) => {
      const uuids = uuidsOf(work);
      if (this.#paused) this.#found.push(`${uuids} were sent in a pause`);
      for (const uuid of uuids) if (this.#delivered.has(uuid)) this.#found.push(`${uuid} was sent after its delivery`);
      if (this.#ordered) this.#checkOrder(uuids);
      if (this.#kind === "late") return this.#late(uuids);
      const sent = this.#answer(uuids);
      if (sent === null) return new Promise<Sent>(() => {});
      const all = Array.isArray(sent.outcomes) ? sent.outcomes : uuids.map(() => sent.outcomes as Outcome);
      for (const [i, uuid] of uuids.entries()) if (all[i]?.result === "delivered") this.#delivered.add(uuid);
      return sent;
    };
  }

  async apply(step: Action): Promise<void> {
    if (step.do === "append") this.#append(step.lane, step.back, step.fates);
    if (step.do === "answer") this.#kind = step.kind;
    if (step.do === "advance") await this.#rig.advance(step.ms);
    if (step.do === "crash") this.#rig.crash();
    if (step.do === "replay") {
      for (const { uuid } of this.#rig.outbox.deadLetters({ limit: 1_000 }).dead_letters) this.#replayed.add(uuid);
      const reshape = async (events: Uint8Array) => this.#reshape(step.script, events);
      await replayAll(this.#rig, { reshape });
      this.#rig.drain.kick();
    }
    if (step.do === "move") await this.#move(step.trouble);
    if (step.do === "discard") await this.#discard(step.of === "all" ? {} : { until: new Date(1e13).toISOString() });
    if (step.do === "pause") {
      this.#rig.outbox.identify({ team: "acme", destination: "hook" });
      this.#rig.outbox.health.pause("the model says so");
      this.#paused = true;
    }
    if (step.do === "resume") this.#resume();
    await this.#rig.settled();
  }

  /** The destination recovers, is enabled again, and everything that is left goes out. */
  async finish(): Promise<void> {
    this.#kind = "ok";
    this.#rig.crash();
    await this.#rig.settled();
    this.#rig.config = this.#destination();
    await this.#rig.drain.load();
    this.#resume();
    await this.#rig.advance(300_000);
    if (this.#rig.outbox.pending().count > 0) this.#found.push("not drained");
  }

  problems(): string[] {
    const { accepted } = this.#rig.outbox.book();
    if (accepted !== this.#accepted) this.#found.push(`accepted ${accepted}, not ${this.#accepted}`);
    const { accepted: elsewhere } = this.#other.outbox.book();
    if (elsewhere !== this.#moved.size) this.#found.push(`${elsewhere} elsewhere, not ${this.#moved.size}`);
    const isPaused = this.#rig.outbox.figures().paused !== null;
    if (isPaused !== this.#paused) this.#found.push(`paused: ${isPaused}`);
    return [...this.#found, ...bookProblems(this.#rig.outbox), ...bookProblems(this.#other.outbox)];
  }

  #resume(): void {
    this.#paused = false;
    this.#rig.drain.resume();
  }

  async #discard(selection: { until?: string }): Promise<void> {
    for (const { uuid } of this.#rig.outbox.deadLetters({ limit: 1_000 }).dead_letters) this.#dropped.add(uuid);
    await discardDeadLetters(this.#rig.outbox, selection, async () => {});
  }

  /** Dead letters go to the other outbox, whatever becomes of the first answer; a process that dies is followed by the next one. */
  async #move(trouble: Trouble): Promise<void> {
    const { sql, clock } = this.#rig;
    for (const { uuid } of this.#rig.outbox.deadLetters({ limit: 1_000 }).dead_letters) {
      this.#moved.add(uuid);
      this.#dropped.add(uuid);
    }
    const died = Promise.withResolvers<void>();
    let isFirst = true;
    const append = async (one: OutboxAppend) => {
      const appended = this.#other.append(one);
      if (!isFirst || trouble === "none") return appended;
      isFirst = false;
      if (trouble === "lost") throw new Error("the answer was lost");
      this.#rig.crash();
      died.resolve();
      return new Promise<never>(() => {});
    };
    const life = () =>
      new Replays({
        ...{ outbox: this.#rig.outbox, sql, clock, append, log: () => {}, wait: async (ms) => clock.advance(ms) },
        reshape: async (_, lines) => firstHalf(lines),
        archive: () => Promise.reject(new Error("no archive")),
        filter: async () => () => true,
      });
    const before = life();
    const id = `move${++this.#replays}`;
    before.start({ id, from: "dead_letters", team: "acme", destination: "other", selection: {} });
    await Promise.race([before.kick(), died.promise]);
    await life().kick();
  }

  /** Events that are in no place where they may be at the end. */
  missing(): string[] {
    const { outbox } = this.#rig;
    const dead = outbox.deadLetters({ limit: 1_000 }).dead_letters.map(({ uuid }) => uuid);
    if (new Set(dead).size !== dead.length) return ["a dead letter twice"];
    const both = dead.filter((uuid) => this.#delivered.has(uuid));
    const { delivered } = outbox.book();
    if (delivered !== this.#delivered.size) return [`delivered ${delivered}, not ${this.#delivered.size}`];
    const isThere = (uuid: string) => this.#delivered.has(uuid) || dead.includes(uuid) || this.#dropped.has(uuid);
    return [...both, ...this.#events.filter((uuid) => !isThere(uuid))];
  }

  #destination() {
    const { ordered, concurrency, maxEvents, fixedCut } = this.#config;
    const batch = { max_events: maxEvents, max_wait_ms: 40 };
    const ready = aDestination({ ordered, concurrency, batch, retry: { max_age_ms: 45_000 } }, `v${++this.#version}`);
    if (!fixedCut || ordered) return ready;
    const limits: typeof ready.kind.limits = (of) => ({ ...ready.kind.limits(of), fixedCut });
    return { ...ready, kind: { ...ready.kind, limits } };
  }

  #append(lane: number, back: number, fates: Fate[]): void {
    const log = this.#lanes[lane] as Fate[];
    const known = this.#taken[lane] as number;
    log.push(...fates);
    const after = Math.max(0, known - back);
    const through = log.length;
    const by: Record<string, number[]> = { dropped: [], filtered: [], expired: [] };
    const lines: { uuid: string; seq: number; fate: Fate }[] = [];
    for (let seq = after + 1; seq <= through; seq++) {
      const fate = log[seq - 1] as Fate;
      const copies = fate === "two" ? ["a", "b"] : fate in by ? [] : ["a"];
      for (const copy of copies) lines.push({ uuid: `${lane}/${seq}${copy}`, seq, fate });
      by[fate]?.push(seq);
      if (seq > known) this.#accepted += fate === "two" ? 2 : 1;
    }
    this.#events.push(...lines.filter(({ seq }) => seq > known).map(({ uuid }) => uuid));
    const tokens: [string, number][] = [];
    for (const { seq } of lines) appendRun(tokens, `t${seq % 3}`, 1);
    const { dropped = [], filtered = [], expired = [] } = by;
    const appended = this.#rig.append({
      ...{
        team: "acme",
        destination: "hook",
        lane: `acme:${lane}`,
        after,
        through,
        dropped,
        filtered,
        expired,
        tokens,
      },
      ...{ events: encodeLines(lines.map(lineOf)), seqs: lines.map(({ seq }) => seq), shaped: true },
      dead: lines.flatMap(({ fate }, line) => (fate === "failed" ? [{ line, reason: "the script failed" }] : [])),
    });
    expect(appended).toEqual({ status: "stored", through });
    this.#taken[lane] = through;
  }

  /** Runs the script on as many of the events as it feels like. */
  #reshape(kind: ScriptKind, events: Uint8Array): Reshaped | { problem: string } {
    if (kind === "away") return { problem: "away" };
    const given = new TextDecoder().decode(events).split("\n");
    const ran = Math.ceil(given.length / 2);
    const share: Reshaped["share"] = { count: 0, sources: [], dropped: [], dead: [] };
    const lines: string[] = [];
    const add = (index: number, line: string) => {
      share.sources.push(index);
      return lines.push(line) - 1;
    };
    for (const [index, line] of given.slice(0, ran).entries()) {
      const { uuid } = JSON.parse(line) as { uuid: string };
      const fate = kind === "some" ? (["works", "splits", "drops", "fails"] as const)[index % 4] : kind;
      if (fate === "fails") share.dead.push({ line: add(index, line), message: "again" });
      else if (fate === "drops") {
        share.dropped.push(index);
        this.#dropped.add(uuid);
      } else add(index, lineOf({ uuid, fate: "shaped" }));
      if (fate !== "splits") continue;
      add(index, lineOf({ uuid: `${uuid}+`, fate: "line" }));
      this.#events.push(`${uuid}+`);
      this.#replayed.add(`${uuid}+`);
      this.#accepted += 1;
    }
    return { ran, share: { ...share, count: lines.length }, lines: encodeLines(lines) };
  }

  /** Nothing is sent before an earlier event of its user has come to its end. What is replayed has lost its place. */
  #checkOrder(uuids: string[]): void {
    const dead = this.#rig.outbox.deadLetters({ limit: 1_000 }).dead_letters.map(({ uuid }) => uuid);
    const passed = new Set([...this.#delivered, ...dead, ...this.#replayed, ...this.#dropped]);
    for (const uuid of uuids) {
      if (this.#replayed.has(uuid)) continue;
      const earlier = this.#events.slice(0, Math.max(0, this.#events.indexOf(uuid)));
      const held = earlier.find((other) => userOf(other) === userOf(uuid) && !passed.has(other));
      if (held !== undefined) this.#found.push(`${uuid} was sent before ${held}`);
      passed.add(uuid);
    }
  }

  /** Delivered after a while, unless the outbox crashes before. */
  #late(uuids: string[]): Promise<Sent> {
    return new Promise((resolve) => {
      this.#rig.timers.after(LATE_MS, () => {
        for (const uuid of uuids) this.#delivered.add(uuid);
        resolve(DELIVERED);
      });
    });
  }

  #answer(uuids: string[]): Sent | null {
    const retry: Outcome = { result: "retry", reason: "500", status: 500 };
    const dead: Outcome = { result: "dead", reason: "400", status: 400 };
    const answers: Record<AnswerKind, Sent | null> = {
      ok: DELIVERED,
      fail: { outcomes: retry },
      throttle: { outcomes: { ...retry, throttled: true, afterMs: 700 } },
      partial: {
        outcomes: uuids.map((_, i) => [retry, { result: "delivered" } as const, retry, dead][i % 4] as Outcome),
      },
      dead: { outcomes: dead },
      hang: null,
      late: null,
      disable: { outcomes: { result: "disable", reason: "410", status: 410 } },
    };
    return answers[this.#kind];
  }
}

/** Of three, by the seq in its uuid. */
function userOf(uuid: string): string {
  return `user-${Number.parseInt(uuid.slice(2), 10) % 3}`;
}

function lineOf({ uuid, fate }: { uuid: string; fate: Fate }): string {
  const line = anEventLine(uuid, userOf(uuid));
  return fate === "shaped" ? `${line.slice(0, -1)},"$request":{"body":"b"}}` : line;
}

/** As they are; a script may run on the first ones only. */
function firstHalf(lines: Uint8Array): Reshaped {
  const all = new TextDecoder().decode(lines).split("\n");
  const ran = Math.ceil(all.length / 2);
  const sources = Array.from({ length: ran }, (_, i) => i);
  return { ran, share: { count: ran, sources, dropped: [], dead: [] }, lines: encodeLines(all.slice(0, ran)) };
}
