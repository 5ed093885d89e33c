import fc from "fast-check";
import { expect, it } from "vitest";
import { isBalanced, wholeBook } from "../../shared/books.ts";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import { anOutboxStatus } from "../../shared/testing/statuses.ts";
import { Outbox } from "../deliver/outbox.ts";
import { DEFAULT_LANE_LIMITS, Lane } from "./lane.ts";
import { laneStatus } from "./lane-status.ts";
import { LaneStore } from "./lane-store.ts";
import { Pump, type PumpDeps } from "./pump.ts";
import { Quarantine } from "./quarantine.ts";
import { QuarantineStore } from "./quarantine-store.ts";
import { ScriptHealth } from "./script-health.ts";
import { ScriptStore } from "./script-store.ts";

/**
 * A lane, its pump, its quarantine and real outboxes in lockstep with what the scripts say of each number: random traffic, outages, lost
 * answers, crashes on both sides between any two steps, a script that is mended and broken again, releases and discards, and a log that
 * forgets (invariants 2, 3 and 5).
 */
const DESTINATIONS = ["hook", "kafka"] as const;
type Destination = (typeof DESTINATIONS)[number];

const LANE = "acme:local:0";
const PADDING = "x".repeat(100);
const REQUEST = { maxEvents: 200, maxBytes: 1_000_000, maxWaitMs: 0, concurrency: 1, timeoutMs: 1_000 };
const POLICY = { base_ms: 0, max_delay_ms: 0, max_age_ms: 1_000_000 };

/** What the scripts make of event n: nothing, itself, or itself and another. */
const outputsOf = (n: number) => (n % 7 === 0 ? [] : n % 5 === 0 ? [`${n}`, `${n}b`] : [`${n}`]);
/** The hook's filter takes these. */
const isTaken = (destination: Destination, n: number) => destination !== "hook" || n % 3 !== 0;

const lineOf = (name: string) => JSON.stringify({ uuid: name, event: "e", distinct_id: "u", PADDING });
const nameOf = (line: string) => (JSON.parse(line) as { uuid: string }).uuid;

/** What the broken script fails on. */
const isTrouble = (n: number) => n % 11 === 0;

const runOf =
  (isBroken: () => boolean): PumpDeps["run"] =>
  async (_bundle, events) => {
    const inputs = decodeLines(events).map((line) => Number(nameOf(line)));
    const fails = isBroken() ? isTrouble : () => false;
    const outputs = inputs.flatMap((n, index) => (fails(n) ? [] : outputsOf(n).map((name) => ({ name, n, index }))));
    const isEachOnce = outputs.length === inputs.length && outputs.every(({ index }, i) => index === i);
    const quarantined = inputs.flatMap((n, index) => (fails(n) ? [{ index, script: "s", message: "no" }] : []));
    return {
      outcome: "ran",
      result: {
        sources: isEachOnce ? null : outputs.map(({ index }) => index),
        dropped: inputs.flatMap((n, index) => (!fails(n) && outputsOf(n).length === 0 ? [index] : [])),
        ...(quarantined.length > 0 ? { quarantined } : {}),
        matches: { hook: outputs.flatMap(({ n }, i) => (isTaken("hook", n) ? [i] : [])) },
        errors: quarantined.length > 0 ? [{ script: "s", message: "no", count: quarantined.length, index: 0 }] : [],
      },
      events: encodeLines(outputs.map(({ name }) => lineOf(name))),
    };
  };

class Box {
  readonly #clock: FakeClock;
  readonly #sql = nodeSql();
  outbox!: Outbox;
  fault: "none" | "unreachable" | "answer lost" = "none";
  readonly delivered: string[] = [];

  constructor(clock: FakeClock) {
    this.#clock = clock;
    this.crash();
  }

  crash(): void {
    let ids = 0;
    this.outbox = new Outbox({ sql: this.#sql, clock: this.#clock, random: () => 0.5, newId: () => `id${ids++}` });
    this.outbox.setBacklogLimit(60_000);
  }

  append(append: OutboxAppend) {
    if (this.fault === "unreachable") throw new Error("unreachable");
    const answer = this.outbox.append(append);
    if (this.fault === "answer lost") throw new Error("answer lost");
    return answer;
  }

  deliver(): void {
    const work = this.outbox.takeFresh(REQUEST);
    if (work === null) return;
    this.delivered.push(...decodeLines(work.events).map(nameOf));
    this.outbox.settle(work, { outcomes: { result: "delivered" } }, POLICY);
  }
}

const NEVER = new Promise<never>(() => {});

class World {
  readonly clock = new FakeClock();
  readonly boxes = { hook: new Box(this.clock), kafka: new Box(this.clock) };
  readonly #sql = nodeSql();
  readonly #limits: { retainBytes: number; room: number };
  lane!: Lane;
  pump!: Pump;
  quarantine!: Quarantine;
  health!: ScriptHealth;
  appended = 0;
  isBroken = true;
  readonly released = new Set<number>();
  readonly discarded = new Set<number>();
  /** Called with each wait of the pump. */
  onWait = () => {};
  /** Steps until the lane's object dies. */
  #stepsLeft = Number.POSITIVE_INFINITY;
  #died = Promise.withResolvers<void>();
  #life = 0;

  constructor(limits: { retainBytes: number; room: number }) {
    this.#limits = limits;
    this.crash();
  }

  crash(): void {
    const life = ++this.#life;
    this.#died = Promise.withResolvers();
    this.#stepsLeft = Number.POSITIVE_INFINITY;
    const { retainBytes, room } = this.#limits;
    this.lane = new Lane(new LaneStore(this.#sql), this.clock, { ...DEFAULT_LANE_LIMITS, retainBytes }, 1);
    const limits = { maxCount: room, maxBytes: 1_000_000 };
    this.quarantine = new Quarantine(this.lane, new QuarantineStore(this.#sql), this.clock, limits);
    this.health = new ScriptHealth(new ScriptStore(this.#sql), this.clock);
    const bundle = { hash: "b", team: "acme", scripts: [], filters: {}, modules: {} };
    const destinations = DESTINATIONS.map((id) => ({ id, kind: "webhook", settings: {} }));
    const run = runOf(() => this.isBroken);
    // What the object awaits: it may die there, before as well as after what it asked for has happened.
    const step = async <T>(work: () => Promise<T>): Promise<T> => {
      if (this.#isDead(life)) return NEVER;
      const value = await work();
      return this.#isDead(life) ? NEVER : value;
    };
    this.pump = new Pump(this.lane, this.quarantine, this.health, {
      snapshot: async () => ({ team: "acme", version: 1, lanes: 1, tokens: ["phc"], bundle, destinations }),
      run: (...given) => step(() => run(...given)),
      append: (append) =>
        step(async () => this.boxes[append.destination as Destination].append({ lane: LANE, ...append })),
      wait: (ms) =>
        step(async () => {
          this.clock.advance(ms);
          this.onWait();
        }),
      turn: () => step(async () => {}),
      moved: () => {},
      clock: this.clock,
      log: () => {},
    });
  }

  #isDead(life: number): boolean {
    if (life !== this.#life) return true;
    if (--this.#stepsLeft > 0) return false;
    this.#died.resolve();
    return true;
  }

  append(count: number): void {
    const numbers = Array.from({ length: count }, (_, i) => this.appended + i + 1);
    const uuids = new Uint8Array(count * 16);
    for (const [i, n] of numbers.entries()) new DataView(uuids.buffer).setUint32(i * 16, n);
    const events = encodeLines(numbers.map((n) => lineOf(`${n}`)));
    this.lane.append({ lane: LANE, events, uuids, tokens: [["phc", count]] });
    this.appended += count;
  }

  /** The pump runs until it rests, or dies after so many steps. */
  async pumpFor(steps: number): Promise<void> {
    this.#stepsLeft = steps;
    const ended = await Promise.race([this.pump.kick().then(() => "rests"), this.#died.promise.then(() => "died")]);
    if (ended === "died") this.crash();
    this.#stepsLeft = Number.POSITIVE_INFINITY;
  }

  held(): number[] {
    return this.quarantine.page({ limit: 1_000 }).quarantined.map(({ event }) => Number(event.uuid));
  }

  async release(): Promise<void> {
    const held = this.held();
    expect(await this.quarantine.release({}, async () => {})).toBe(held.length);
    for (const n of held) this.released.add(n);
  }

  discard(): void {
    const held = this.quarantine.page({ limit: 3 }).quarantined;
    if (held.length === 0) return;
    expect(this.quarantine.discard({ ids: held.map(({ id }) => id) })).toBe(held.length);
    for (const { event } of held) this.discarded.add(Number(event.uuid));
  }

  status(destination: Destination) {
    const { outbox } = this.boxes[destination];
    const { pump, quarantine, lane, health } = this;
    const snapshot = { destinations: DESTINATIONS.map((id) => ({ id, kind: "webhook", settings: {} })) };
    const status = laneStatus({ name: LANE, team: "acme", snapshot, lane, quarantine, health, pump, refused: {} });
    return wholeBook(destination, [status], anOutboxStatus({ book: outbox.book(), lanes: outbox.figures().lanes }));
  }

  async settle(): Promise<void> {
    let waits = 0;
    this.onWait = () => {
      if (++waits > 2_000) throw new Error("the pump waits without end");
      for (const box of Object.values(this.boxes)) box.deliver();
    };
    for (const box of Object.values(this.boxes)) box.fault = "none";
    await this.pump.kick();
    for (const box of Object.values(this.boxes)) while (box.outbox.pending().count > 0) box.deliver();
  }
}

function expectWhole(world: World, destination: Destination): void {
  const { outbox, delivered } = world.boxes[destination];
  const book = outbox.book();
  const whole = world.status(destination);
  expect([isBalanced(book), isBalanced(whole), whole.pending]).toEqual([true, true, 0]);
  // Whatever became of an event, it was accepted once.
  expect(whole.accepted - outbox.figures().emitted).toBe(world.appended);
  expect(outbox.figures().lanes).toEqual(world.appended === 0 ? {} : { [LANE]: world.lane.nextSeq - 1 });
  const wanted = Array.from({ length: world.appended }, (_, i) => i + 1);
  const got = new Set(delivered);
  expect(got.size).toBe(delivered.length);
  const withheld = new Set([...world.held(), ...world.discarded]);
  const dead = new Set(outbox.deadLetters({ limit: 1_000 }).dead_letters.map(({ uuid }) => Number(uuid)));
  expect([whole.dead, whole.dropped - book.dropped]).toEqual([dead.size + world.held().length, world.discarded.size]);
  for (const n of dead) expect([isTrouble(n), withheld.has(n), got.has(`${n}`)]).toEqual([true, false, false]);
  // All of an event's outputs or none of them; and what is there stands in order, but for what was released.
  const isThere = (n: number) => isTaken(destination, n) && outputsOf(n).some((name) => got.has(name));
  const there = wanted.filter(isThere);
  expect(new Set(delivered)).toEqual(new Set(there.flatMap(outputsOf)));
  expect(there.filter((n) => withheld.has(n))).toEqual([]);
  const isInOrder = (n: number) => !world.released.has(n);
  expect(delivered.filter((name) => isInOrder(Number.parseInt(name, 10)))).toEqual(
    there.filter(isInOrder).flatMap(outputsOf),
  );
  const isKept = (n: number) => withheld.has(n) || dead.has(n);
  const gone = wanted.filter(
    (n) => isTaken(destination, n) && outputsOf(n).length > 0 && !there.includes(n) && !isKept(n),
  );
  // Of what the log let go of nobody knows what the scripts would have made.
  if (book.expired === 0) {
    expect(gone).toEqual([]);
    expect(book.dropped).toBe(wanted.filter((n) => outputsOf(n).length === 0 && !isKept(n)).length);
  } else expect(gone.length).toBeLessThanOrEqual(book.expired);
}

const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 700 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pump" as const), steps: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fault" as const),
      box: fc.constantFrom(...DESTINATIONS),
      fault: fc.constantFrom("none" as const, "unreachable" as const, "answer lost" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("deliver" as const), box: fc.constantFrom(...DESTINATIONS) }) },
  { weight: 2, arbitrary: fc.constantFrom({ do: "release" as const }, { do: "discard" as const }) },
  { weight: 3, arbitrary: fc.constant({ do: "publish" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), box: fc.constantFrom(...DESTINATIONS) }) },
);

it.each([
  ["keeps everything", { retainBytes: 1_000_000_000, room: 100_000 }],
  ["forgets at once", { retainBytes: 0, room: 100_000 }],
  ["has a small quarantine", { retainBytes: 1_000_000_000, room: 20 }],
])(
  "a lane that %s, its pump, its quarantine and its outboxes have each event in one place, in order, and the books balance (invariants 2, 3, 5)",
  async (_, limits) => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
        const world = new World(limits);
        for (const step of actions) {
          if (step.do === "append") world.append(step.count);
          else if (step.do === "pump") await world.pumpFor(step.steps);
          else if (step.do === "fault") world.boxes[step.box].fault = step.fault;
          else if (step.do === "deliver") world.boxes[step.box].deliver();
          else if (step.do === "release") await world.release();
          else if (step.do === "discard") world.discard();
          else if (step.do === "publish") world.isBroken = !world.isBroken;
          else world.boxes[step.box].crash();
          for (const destination of DESTINATIONS) expect(isBalanced(world.status(destination))).toBe(true);
        }
        await world.settle();
        for (const destination of DESTINATIONS) expectWhole(world, destination);
      }),
      { numRuns: 100 },
    );
  },
  60_000,
);
