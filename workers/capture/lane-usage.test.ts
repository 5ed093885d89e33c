import { expect, test } from "vitest";
import type { DailyResource } from "../../shared/lane-api.ts";
import { encodeLines } from "../../shared/ndjson.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import { utcDay } from "../../shared/utc-day.ts";
import { DEFAULT_LANE_LIMITS, Lane } from "./lane.ts";
import { LaneStore } from "./lane-store.ts";

function rig() {
  const clock = new FakeClock(Date.UTC(2026, 0, 1, 23));
  const sql = nodeSql();
  const state = { isDiskFull: false };
  const failing = {
    ...sql,
    run: (statement: string, ...values: never[]) => {
      if (state.isDiskFull && statement.includes("INTO usage")) throw new Error("disk full");
      return sql.run(statement, ...values);
    },
  };
  const open = () => new Lane(new LaneStore(failing), clock, DEFAULT_LANE_LIMITS, 42);
  return { clock, open, state };
}

function appendOf(events: [n: number, resource: DailyResource][], counted = true) {
  const uuids = new Uint8Array(events.length * 16);
  for (const [i, [n]] of events.entries()) new DataView(uuids.buffer).setUint32(i * 16, n);
  return {
    lane: "acme:local:0",
    events: encodeLines(events.map(([n]) => `{"n":${n}}`)),
    uuids,
    tokens: [["phc_a", events.length]] as [string, number][],
    ...(counted ? { resources: events.map(([, resource]) => [resource, 1] as [DailyResource, number]) } : {}),
  };
}

test("a lane counts what it accepts by resource, duplicates left out, over a restart", () => {
  const { clock, open } = rig();
  const lane = open();
  const day = utcDay(clock.now());
  lane.append(
    appendOf([
      [1, "events"],
      [2, "exceptions"],
    ]),
  );
  const appended = lane.append(
    appendOf([
      [2, "exceptions"],
      [3, "events"],
      [4, "recordings"],
    ]),
  );
  const usage = { day, counts: { events: 2, exceptions: 1, recordings: 1 } };
  expect(appended).toEqual({ duplicates: 1, usage });
  expect(open().usage).toEqual(usage);
});

test("an append of a team without a quota is not counted", () => {
  const lane = rig().open();
  expect(lane.append(appendOf([[1, "events"]], false))).toEqual({ duplicates: 0 });
  expect(lane.usage.counts).toEqual({});
});

test("counts begin anew at midnight UTC", () => {
  const { clock, open } = rig();
  const lane = open();
  lane.append(appendOf([[1, "events"]]));
  clock.advance(60 * 60 * 1000);
  expect(lane.usage.counts).toEqual({});
  expect(open().usage.counts).toEqual({});
  expect(lane.append(appendOf([[2, "events"]])).usage?.counts).toEqual({ events: 1 });
  expect(open().usage).toEqual(lane.usage);
});

test("an append that fails counts nothing, and leaves nothing", () => {
  const { open, state } = rig();
  const lane = open();
  lane.append(appendOf([[1, "events"]]));
  state.isDiskFull = true;
  expect(() => lane.append(appendOf([[2, "events"]]))).toThrow("disk full");
  expect(lane.usage.counts).toEqual({ events: 1 });
  expect(lane.nextSeq).toBe(2);
  state.isDiskFull = false;
  expect(lane.append(appendOf([[2, "events"]]))).toMatchObject({ duplicates: 0, usage: { counts: { events: 2 } } });
});
