import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import { expandRuns } from "../../shared/runs.ts";
import type { Sql } from "../../shared/sql.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import { DEFAULT_LANE_LIMITS, Lane, LaneFullError, type LaneLimits } from "./lane.ts";
import { LaneStore } from "./lane-store.ts";

const clock = new FakeClock();
let sql: Sql;

function open(limits: Partial<LaneLimits> = {}): Lane {
  return new Lane(new LaneStore(sql), clock, { ...DEFAULT_LANE_LIMITS, ...limits }, 42);
}

/** An append of events with these numbers as uuids; the line of event n is `{"n":n}`. */
function appendOf(numbers: number[], token = "phc_a") {
  const uuids = new Uint8Array(numbers.length * 16);
  for (const [i, n] of numbers.entries()) new DataView(uuids.buffer).setUint32(i * 16, n);
  return {
    lane: "acme:local:0",
    events: encodeLines(numbers.map((n) => `{"n":${n}}`)),
    uuids,
    tokens: [[token, numbers.length]] as [string, number][],
  };
}

const linesOf = (lane: Lane, after: number, events = 500, bytes = 1_000_000) => {
  const batch = lane.read(after, lane.nextSeq - 1, events, bytes);
  return batch === null ? null : decodeLines(batch.events).map((line) => (JSON.parse(line) as { n: number }).n);
};

beforeEach(() => {
  sql = nodeSql();
});

describe("Lane", () => {
  it("numbers events from 1 without gaps and reads them in order (invariant 3)", () => {
    const lane = open();
    lane.append(appendOf([1, 2, 3]));
    lane.append(appendOf([4]));
    expect(lane.read(0, 4, 500, 1_000_000)).toMatchObject({ after: 0, through: 4, tokens: [["phc_a", 4]] });
    expect(linesOf(lane, 0)).toEqual([1, 2, 3, 4]);
    expect(linesOf(lane, 2)).toEqual([3, 4]);
    expect(linesOf(lane, 4)).toBeNull();
  });

  it("stops a batch at the event limit and at the byte limit, but always takes one event", () => {
    const lane = open();
    lane.append(appendOf([1, 2, 3, 4, 5]));
    expect(linesOf(lane, 0, 2)).toEqual([1, 2]);
    expect(linesOf(lane, 0, 500, 16)).toEqual([1, 2]);
    expect(linesOf(lane, 0, 500, 1)).toEqual([1]);
  });

  it("drops and counts what it has seen, inside one append and over a restart", () => {
    const first = open();
    expect(first.append(appendOf([1, 2, 2]))).toEqual({ duplicates: 1 });
    const second = open();
    expect(second.append(appendOf([2, 3, 1], "phc_b"))).toEqual({ duplicates: 2 });
    expect(linesOf(second, 0)).toEqual([1, 2, 3]);
    expect(second.read(0, 3, 9, 999)?.tokens).toEqual([
      ["phc_a", 2],
      ["phc_b", 1],
    ]);
    expect(open().duplicates).toBe(3);
  });

  it("counts what capture has not stored, with events or without, also where it is full (invariant 5)", () => {
    const lane = open({ backlogBytes: 10 });
    lane.append({ ...appendOf([1]), refused: { web: { sampled_out: 2 } } });
    expect(() => lane.append({ ...appendOf([2]), refused: { web: { sampled_out: 1 } } })).toThrow(LaneFullError);
    const none = { lane: "acme:local:0", events: new Uint8Array(0), uuids: new Uint8Array(0), tokens: [] };
    expect(lane.append({ ...none, refused: { web: { sampled_out: 1, restricted: 4 } } })).toEqual({ duplicates: 0 });
    expect(lane.nextSeq).toBe(2);
    expect(new LaneStore(sql).refused()).toEqual({ web: { sampled_out: 3, restricted: 4 } });
  });

  it("goes on numbering where it stopped once all rows are gone", () => {
    const lane = open({ retainMs: 0, retainBytes: 0 });
    lane.append(appendOf([1, 2]));
    lane.advance(2, 15, new Map());
    clock.advance(1);
    lane.retain();
    expect(open().nextSeq).toBe(3);
    const again = open();
    again.append(appendOf([3]));
    expect(linesOf(again, again.cursor)).toEqual([3]);
  });

  it("refuses appends over its byte cap and takes them again once the pump has made room", () => {
    const lane = open({ backlogBytes: 20 });
    lane.append(appendOf([1, 2]));
    expect(() => lane.append(appendOf([3, 4]))).toThrow(LaneFullError);
    lane.advance(2, 15, new Map());
    expect(lane.append(appendOf([3, 4]))).toEqual({ duplicates: 0 });
  });

  it("takes nothing of an append that the store refuses, and takes it whole when it comes again", () => {
    const lane = open();
    lane.append(appendOf([1]));
    sql.run("CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'disk is full'); END");
    expect(() => lane.append(appendOf([2, 3]))).toThrow("disk is full");
    expect([lane.nextSeq, lane.backlog]).toEqual([2, 1]);
    sql.run("DROP TRIGGER full");
    expect(lane.append(appendOf([2, 3]))).toEqual({ duplicates: 0 });
    expect(linesOf(lane, 0)).toEqual([1, 2, 3]);
  });

  it("splits an append into rows without tearing an event", () => {
    const lane = open({ rowBytes: 20 });
    lane.append(appendOf([1, 2, 3, 4, 5]));
    expect([...sql.query<{ count: number }>("SELECT count FROM log")].map((row) => row.count)).toEqual([2, 2, 1]);
    expect(linesOf(lane, 0)).toEqual([1, 2, 3, 4, 5]);
  });

  it("never removes what the pump has not passed, and removes the oldest of the rest by size and age", () => {
    const lane = open({ retainBytes: 14 });
    for (const n of [1, 2, 3]) lane.append(appendOf([n]));
    lane.retain();
    expect(linesOf(lane, 0)).toEqual([1, 2, 3]);
    lane.advance(2, 14, new Map());
    lane.retain();
    expect(linesOf(lane, 0)).toEqual([2, 3]);
    lane.advance(3, 7, new Map());
    clock.advance(DEFAULT_LANE_LIMITS.retainMs + 1);
    lane.retain();
    expect(linesOf(lane, 0)).toBeNull();
  });

  it("ends a batch where rows are gone behind one that it still has in memory: their events took the seqs of others", () => {
    const lane = open({ retainBytes: 0, tailBytes: 0 });
    for (const n of [1, 2, 3]) lane.append(appendOf([n * 10, n * 10 + 1]));
    expect(lane.read(0, 1, 1, 1_000)?.through).toBe(1);
    lane.advance(4, 10, new Map([["hook", 1]]));
    lane.retain();
    const batch = lane.read(1, 6, 100, 1_000);
    expect([batch?.after, batch?.through, batch && decodeLines(batch.events)]).toEqual([1, 2, ['{"n":11}']]);
    expect(lane.read(2, 6, 100, 1_000)).toMatchObject({ after: 4, through: 6 });
  });

  it("agrees with a list of events under appends, duplicates, batches, retention and restarts (invariants 2, 3)", () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant("append" as const), numbers: fc.array(fc.nat(40), { minLength: 1, maxLength: 6 }) }),
      fc.record({ do: fc.constant("pump" as const), events: fc.integer({ min: 1, max: 5 }) }),
      fc.constant({ do: "retain" as const }),
      fc.constant({ do: "restart" as const }),
      fc.constant({ do: "wait" as const }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        sql = nodeSql();
        // The dedupe window outlasts the test's uuids, and rows outlast the window, or a restart would forget some.
        const limits = { rowBytes: 18, retainBytes: 1_000, tailBytes: 50 };
        let lane = open(limits);
        const log: number[] = [];
        const pumped: number[] = [];
        for (const step of actions) {
          if (step.do === "append") {
            const fresh = step.numbers.filter((n, i) => !log.includes(n) && step.numbers.indexOf(n) === i);
            const { duplicates } = lane.append(appendOf(step.numbers));
            expect(duplicates).toBe(step.numbers.length - fresh.length);
            log.push(...fresh);
          } else if (step.do === "pump") {
            const batch = lane.read(lane.cursor, lane.nextSeq - 1, step.events, 30);
            if (batch === null) continue;
            pumped.push(...decodeLines(batch.events).map((line) => (JSON.parse(line) as { n: number }).n));
            expect(expandRuns(batch.tokens)).toHaveLength(batch.through - batch.after);
            lane.advance(batch.through, batch.events.length, new Map());
          } else if (step.do === "retain") lane.retain();
          else if (step.do === "wait") clock.advance(200);
          else {
            const before = lane.cursor;
            lane = open(limits);
            // A crash may take the pump back, never forward.
            expect(lane.cursor).toBeLessThanOrEqual(before);
            pumped.length = lane.cursor;
          }
          expect(pumped).toEqual(log.slice(0, lane.cursor));
          expect([lane.nextSeq - 1, lane.backlog]).toEqual([log.length, log.length - pumped.length]);
        }
      }),
    );
  });

  it("takes positions for saved only once they are: a failed retention step loses neither the cursor nor the end of the log", () => {
    const lane = open({ retainBytes: 0 });
    lane.append(appendOf([1, 2, 3]));
    lane.advance(3, 27, new Map());
    const { run } = sql;
    sql.run = (statement, ...values) => {
      if (statement.startsWith("DELETE")) throw new Error("disk full");
      return run(statement, ...values);
    };
    expect(() => lane.retain()).toThrow("disk full");
    sql.run = run;
    lane.retain();
    const reopened = open();
    expect([reopened.cursor, reopened.nextSeq]).toEqual([3, 4]);
  });
});
