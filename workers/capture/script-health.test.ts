import { beforeEach, describe, expect, it } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import type { RunResult } from "../../shared/sandbox-api.ts";
import type { Sql } from "../../shared/sql.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import { LaneStore } from "./lane-store.ts";
import { ScriptHealth } from "./script-health.ts";
import { ScriptStore } from "./script-store.ts";

let sql: Sql;
let clock: FakeClock;
let health: ScriptHealth;

function open(): ScriptHealth {
  new LaneStore(sql);
  return new ScriptHealth(new ScriptStore(sql), clock);
}

/** As the lane does with each save of its positions. */
function save(): void {
  health.write();
  health.written();
}

beforeEach(() => {
  [sql, clock] = [nodeSql(), new FakeClock()];
  health = open();
  health.inForce("b1");
});

const event = (name: string, properties: object = {}) => ({ uuid: name, event: name, distinct_id: "u", properties });
const aBatch = (...events: object[]) => ({
  ...{ after: 0, through: events.length, tokens: [["t", events.length]] as [string, number][] },
  events: encodeLines(events.map((one) => JSON.stringify(one))),
});
const aResult = (result: Partial<RunResult>): RunResult => ({
  ...{ sources: null, dropped: [], matches: {}, errors: [] },
  ...result,
});
const anError = (message: string, index = 0, count = 1) => ({
  script: "scrub",
  message,
  count,
  index,
  stack: ["f (1:1)"],
});

describe("ScriptHealth", () => {
  it("adds up what scripts were given, dropped, used and said", () => {
    const use = { script: "scrub", events: 3, dropped: 1, errors: 0, steps: 9, histogram: [0, 1, 2] };
    const logs = [{ script: "scrub", index: 0, text: "hello" }];
    health.count(aBatch(event("a")), aResult({ use: [use], logs }));
    health.count(aBatch(event("a")), aResult({ use: [{ ...use, histogram: [1] }] }));
    expect(health.statuses()).toEqual([
      {
        ...{ id: "scrub", bundle: "b1", errors: 0, kills: 0, quarantined: false, lastError: null, failures: [] },
        ...{ events: 6, dropped: 2, steps: 18, histogram: [1, 1, 2] },
        logs: [{ at: "2026-01-01T00:00:00.000Z", text: "hello" }],
      },
    ]);
  });

  it("groups failures by message, the latest first, each with the first event that it happened on", () => {
    health.count(aBatch(event("a"), event("b")), aResult({ errors: [anError("one", 1, 2), anError("two")] }));
    clock.advance(1_000);
    health.count(aBatch(event("c")), aResult({ errors: [anError("one")] }));
    const [scrub] = health.statuses();
    expect(scrub).toMatchObject({ errors: 4, lastError: "one" });
    expect(scrub?.failures).toEqual([
      {
        ...{ message: "one", count: 3, stack: ["f (1:1)"], sample: event("b") },
        ...{ firstAt: "2026-01-01T00:00:00.000Z", lastAt: "2026-01-01T00:00:01.000Z" },
      },
      expect.objectContaining({ message: "two", count: 1, sample: event("a") }),
    ]);
  });

  it("keeps the newest messages and log lines of a script that puts data into them", () => {
    for (let i = 0; i < 60; i++) {
      const logs = [{ script: "scrub", index: 0, text: `${i}` }];
      health.count(aBatch(event("a")), aResult({ errors: [anError(`no ${i}`)], logs }));
      if (i % 7 === 0) save();
    }
    save();
    for (const [scrub] of [health.statuses(), open().statuses()]) {
      expect(scrub?.failures.map(({ message }) => message)).toEqual(
        Array.from({ length: 20 }, (_, i) => `no ${59 - i}`),
      );
      expect(scrub?.logs.map(({ text }) => text)).toEqual(Array.from({ length: 50 }, (_, i) => `${10 + i}`));
      expect(scrub?.errors).toBe(60);
    }
  });

  it("shows a large event without what the client put into it", () => {
    const large = { ...event("a", { text: "x".repeat(20_000) }), $set: { a: 1 }, source: "web" };
    health.count(aBatch(large), aResult({ errors: [anError("no")] }));
    expect(health.statuses()[0]?.failures[0]?.sample).toEqual({ ...event("a"), source: "web" });
  });

  it("reads back what was saved, goes on from it, and has lost what was not", () => {
    health.count(aBatch(event("a")), aResult({ errors: [anError("no")] }));
    save();
    health.count(aBatch(event("a")), aResult({ errors: [anError("lost")] }));
    health = open();
    health.inForce("b1");
    expect(health.statuses()[0]).toMatchObject({ errors: 1, failures: [{ message: "no", count: 1 }] });
    health.count(aBatch(event("b")), aResult({ errors: [anError("no")] }));
    save();
    expect(open().statuses()[0]).toMatchObject({ errors: 2, failures: [{ count: 2, sample: event("a") }] });
  });

  it("writes nothing where nothing has happened", () => {
    health.count(aBatch(event("a")), aResult({ errors: [anError("no")] }));
    save();
    const { run } = sql;
    sql.run = () => {
      throw new Error("written");
    };
    expect(save).not.toThrow();
    sql.run = run;
  });

  it("has a kill on disk at once, and forgets all of a bundle that another one replaces", () => {
    expect([health.countKill("scrub"), health.countKill("scrub"), health.countKill("scrub")]).toEqual([
      false,
      false,
      true,
    ]);
    health.count(aBatch(event("a")), aResult({ errors: [anError("no")] }));
    expect([open().quarantined(), open().statuses()[0]?.kills]).toEqual([["scrub"], 3]);
    save();
    health.inForce("b2");
    expect([health.statuses(), open().statuses(), health.quarantined()]).toEqual([[], [], []]);
    expect([...sql.query("SELECT * FROM script_failures")]).toEqual([]);
  });
});
