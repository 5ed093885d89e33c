import fc from "fast-check";
import { expect, it } from "vitest";
import { isBalanced } from "../../shared/books.ts";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import { Outbox } from "../deliver/outbox.ts";
import { DEFAULT_LANE_LIMITS, Lane } from "./lane.ts";
import { LaneStore } from "./lane-store.ts";
import { Pump, type PumpDeps } from "./pump.ts";

/**
 * A lane, its pump and real outboxes in lockstep with what the scripts say of each number: random traffic, outages, lost answers,
 * crashes on both sides, and a log that forgets (invariants 2, 3 and 5).
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

const run: PumpDeps["run"] = async (_bundle, events) => {
  const inputs = decodeLines(events).map((line) => Number(nameOf(line)));
  const outputs = inputs.flatMap((n, index) => outputsOf(n).map((name) => ({ name, n, index })));
  const isEachOnce = outputs.length === inputs.length && outputs.every(({ index }, i) => index === i);
  return {
    outcome: "ran",
    result: {
      sources: isEachOnce ? null : outputs.map(({ index }) => index),
      dropped: inputs.flatMap((n, index) => (outputsOf(n).length === 0 ? [index] : [])),
      matches: { hook: outputs.flatMap(({ n }, i) => (isTaken("hook", n) ? [i] : [])) },
      errors: [],
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

class World {
  readonly clock = new FakeClock();
  readonly boxes = { hook: new Box(this.clock), kafka: new Box(this.clock) };
  readonly #store = new LaneStore(nodeSql());
  readonly #retainBytes: number;
  lane!: Lane;
  pump!: Pump;
  appended = 0;
  /** Called with each wait of the pump. */
  onWait = () => {};

  constructor(retainBytes: number) {
    this.#retainBytes = retainBytes;
    this.crash();
  }

  crash(): void {
    this.lane = new Lane(this.#store, this.clock, { ...DEFAULT_LANE_LIMITS, retainBytes: this.#retainBytes }, 1);
    const bundle = { hash: "b", team: "acme", scripts: [], filters: {}, modules: {} };
    const destinations = DESTINATIONS.map((id) => ({ id, kind: "webhook", settings: {} }));
    this.pump = new Pump(this.lane, this.#store, {
      snapshot: async () => ({ team: "acme", version: 1, lanes: 1, tokens: ["phc"], bundle, destinations }),
      run,
      append: async (append) => this.boxes[append.destination as Destination].append({ lane: LANE, ...append }),
      wait: async (ms) => {
        this.clock.advance(ms);
        this.onWait();
      },
      turn: async () => {},
      moved: () => {},
      clock: this.clock,
      log: () => {},
    });
  }

  append(count: number): void {
    const numbers = Array.from({ length: count }, (_, i) => this.appended + i + 1);
    const uuids = new Uint8Array(count * 16);
    for (const [i, n] of numbers.entries()) new DataView(uuids.buffer).setUint32(i * 16, n);
    const events = encodeLines(numbers.map((n) => lineOf(`${n}`)));
    this.lane.append({ lane: LANE, events, uuids, tokens: [["phc", count]] });
    this.appended += count;
  }

  /** The pump runs until it rests, or until its `waits`-th wait, where it dies. */
  async pumpFor(waits: number): Promise<void> {
    let left = waits;
    this.onWait = () => {
      if (--left <= 0) throw new Error("crash");
    };
    const died = await this.pump.kick().then(
      () => false,
      () => true,
    );
    if (died) this.crash();
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
  expect(isBalanced(book)).toBe(true);
  expect(outbox.figures().lanes).toEqual(world.appended === 0 ? {} : { [LANE]: world.appended });
  const wanted = Array.from({ length: world.appended }, (_, i) => i + 1);
  const got = new Set(delivered);
  expect(got.size).toBe(delivered.length);
  // All of an event's outputs or none of them; and what is there stands in order.
  const there = wanted.filter((n) => isTaken(destination, n) && outputsOf(n).some((name) => got.has(name)));
  expect(delivered).toEqual(there.flatMap(outputsOf));
  const gone = wanted.filter((n) => isTaken(destination, n) && outputsOf(n).length > 0 && !there.includes(n));
  // Of what the log let go of nobody knows what the scripts would have made.
  if (book.expired === 0) {
    expect(gone).toEqual([]);
    expect(book.dropped).toBe(wanted.filter((n) => outputsOf(n).length === 0).length);
  } else expect(gone.length).toBeLessThanOrEqual(book.expired);
}

const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 700 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pump" as const), waits: fc.integer({ min: 1, max: 12 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fault" as const),
      box: fc.constantFrom(...DESTINATIONS),
      fault: fc.constantFrom("none" as const, "unreachable" as const, "answer lost" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("deliver" as const), box: fc.constantFrom(...DESTINATIONS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), box: fc.constantFrom(...DESTINATIONS) }) },
);

it.each([
  ["keeps everything", 1_000_000_000],
  ["forgets at once", 0],
])(
  "a lane whose log %s, its pump and its outboxes deliver each event once, in order, and the books balance",
  async (_, retainBytes) => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 20 }), async (actions) => {
        const world = new World(retainBytes);
        for (const step of actions) {
          if (step.do === "append") world.append(step.count);
          else if (step.do === "pump") await world.pumpFor(step.waits);
          else if (step.do === "fault") world.boxes[step.box].fault = step.fault;
          else if (step.do === "deliver") world.boxes[step.box].deliver();
          else world.boxes[step.box].crash();
        }
        await world.settle();
        for (const destination of DESTINATIONS) expectWhole(world, destination);
      }),
      { numRuns: 100 },
    );
  },
  60_000,
);
