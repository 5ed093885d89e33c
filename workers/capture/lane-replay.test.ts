import { expect, test } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import type { TeamSnapshot } from "../../shared/snapshot.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import { parseUuid, UUID_BYTES } from "../../shared/uuid.ts";
import { aDestination, bookProblems, OutboxRig, uuidsOf } from "../deliver/testing/outbox-rig.ts";
import { DEFAULT_LANE_LIMITS, Lane } from "./lane.ts";
import { LaneReplays, type LaneReplaysDeps } from "./lane-replays.ts";
import { LaneStore } from "./lane-store.ts";

const START = Date.UTC(2026, 0, 1);
const uuidOf = (n: number) => `01890a5d-ac96-774b-bcce-${String(n).padStart(12, "0")}`;
const iso = (ms: number) => new Date(START + ms).toISOString();

/** A lane whose event n came n seconds after the start, all of them delivered long ago, and an outbox to replay into. */
function aRig(count: number, overrides: Partial<LaneReplaysDeps> = {}, limits = DEFAULT_LANE_LIMITS) {
  const [sql, clock] = [nodeSql(), new FakeClock(START)];
  const lane = new Lane(new LaneStore(sql), clock, limits, 1);
  const replays = () => new LaneReplays(deps);
  for (let n = 1; n <= count; n++) {
    clock.advance(1_000);
    const uuids = new Uint8Array(UUID_BYTES);
    parseUuid(uuidOf(n), uuids, 0);
    const event = anEvent({ uuid: uuidOf(n), event: n % 2 === 0 ? "even" : "odd" });
    lane.append({ lane: "acme:0", events: encodeLines([JSON.stringify(event)]), uuids, tokens: [["phc", 1]] });
  }
  lane.advance(count, lane.backlogBytes, new Map());
  const outbox = new OutboxRig(aDestination());
  const destinations = [{ id: "hook", kind: "webhook", settings: {} }];
  const snapshot: TeamSnapshot = { team: "acme", version: 1, lanes: 1, tokens: [], bundle: null, destinations };
  const deps: LaneReplaysDeps = {
    ...{ lane, sql, clock, name: () => "acme:0", log: () => {}, skipped: () => [] },
    quarantine: { withheld: () => new Map() },
    snapshot: async () => snapshot,
    run: () => Promise.reject(new Error("no scripts in this test")),
    append: async (append) => outbox.append({ lane: "acme:0", ...append } as OutboxAppend),
    wait: async (ms) => clock.advance(ms),
    ...overrides,
  };
  return { lane, clock, outbox, snapshot, replays };
}

const request = { id: "r", from: "lane" as const, team: "acme", destination: "hook" };

async function sent(outbox: OutboxRig): Promise<number[]> {
  await outbox.settled();
  await outbox.advance(100);
  return outbox.requests.flatMap(uuidsOf).map((uuid) => Number(uuid.slice(-12)));
}

test("the events of a time go to one destination once more, with their uuids, and are counted once more (invariants 5, 7)", async () => {
  const { outbox, replays } = aRig(20);
  const jobs = replays();
  jobs.start({ ...request, since: iso(5_000), until: iso(11_000) });
  await jobs.kick();
  expect(await sent(outbox)).toEqual([5, 6, 7, 8, 9, 10]);
  expect(jobs.statuses()).toMatchObject([
    { id: "r", from: "lane", source: "acme:0", state: "done", total: 6, seen: 6, replayed: 6, problem: null },
  ]);
  expect(outbox.outbox.book()).toMatchObject({ accepted: 6, delivered: 6 });
  expect(outbox.outbox.figures()).toMatchObject({ replayed: 6, lanes: {} });
});

test.each([
  ["all of it", -1_000, 99_000, [1, 2, 3, 4, 5]],
  ["nothing before the log", -9_000, 1_000, []],
  ["nothing behind it", 60_000, 99_000, []],
  ["one", 3_000, 3_001, [3]],
])("a time of %s", async (_, since, until, expected) => {
  const { outbox, replays } = aRig(5);
  const jobs = replays();
  jobs.start({ ...request, since: iso(since), until: iso(until) });
  await jobs.kick();
  expect(await sent(outbox)).toEqual(expected);
});

test("only events of a name, and none that the quarantine has", async () => {
  const { outbox, replays } = aRig(8, {
    quarantine: {
      withheld: () =>
        new Map([
          [4, null],
          [6, "kept back"],
        ]),
    },
  });
  const jobs = replays();
  jobs.start({ ...request, since: iso(0), until: iso(99_000), event: "even" });
  await jobs.kick();
  expect(await sent(outbox)).toEqual([2, 8]);
  expect(jobs.statuses()).toMatchObject([{ total: 8, seen: 8, replayed: 2 }]);
  expect(outbox.outbox.book()).toMatchObject({ accepted: 2, delivered: 2 });
});

test("what the destination has not been given yet comes by the pump alone (invariant 2)", async () => {
  const { lane, outbox, replays } = aRig(10);
  lane.advance(10, 0, new Map([["hook", 4]]));
  const jobs = replays();
  jobs.start({ ...request, since: iso(0), until: iso(99_000) });
  await jobs.kick();
  expect(await sent(outbox)).toEqual([1, 2, 3, 4]);
});

test("an append whose answer is lost, and a restart, double nothing (invariant 2)", async () => {
  let appends = 0;
  const rig = aRig(1_200, {
    append: async (append) => {
      const appended = rig.outbox.append({ lane: "acme:0", ...append } as OutboxAppend);
      if (appends++ % 2 === 0) throw new Error("lost");
      return appended;
    },
  });
  const first = rig.replays();
  first.start({ ...request, since: iso(0), until: iso(9_999_000), events_per_second: 100 });
  void first.kick();
  for (let turns = 0; turns < 40; turns++) await Promise.resolve();
  first.cancel("none");
  const second = rig.replays();
  await second.kick();
  const got = await sent(rig.outbox);
  expect(new Set(got).size).toBe(1_200);
  expect(got.length).toBe(1_200);
  expect(bookProblems(rig.outbox.outbox)).toEqual([]);
});

test("events that the log has let go of are told of", async () => {
  const { lane, outbox, clock, replays } = aRig(10);
  const jobs = replays();
  jobs.start({ ...request, since: iso(0), until: iso(99_000) });
  clock.advance(DEFAULT_LANE_LIMITS.retainMs - 5_000);
  lane.retain();
  await jobs.kick();
  expect(await sent(outbox)).toEqual([5, 6, 7, 8, 9, 10]);
  expect(jobs.statuses()[0]).toMatchObject({ state: "done", seen: 10, problem: expect.stringContaining("not kept") });
});

test("while the scripts cannot be run nothing is sent, and the replay says why", async () => {
  let tries = 0;
  const rig = aRig(3, {
    snapshot: async () => ({ ...rig.snapshot, bundle: { hash: "h" } as TeamSnapshot["bundle"] }),
    run: async (_bundle, events) => {
      if (tries++ < 3) return { outcome: "broken", message: "syntax" };
      expect(jobs.statuses()[0]?.problem).toBe("the team's scripts could not be run: syntax");
      return {
        outcome: "ran",
        result: { sources: [1, 2], dropped: [0], matches: {}, errors: [] },
        events: events.slice(events.indexOf(10) + 1),
      };
    },
  });
  const jobs = rig.replays();
  jobs.start({ ...request, since: iso(0), until: iso(99_000) });
  await jobs.kick();
  expect(await sent(rig.outbox)).toEqual([2, 3]);
  expect(rig.outbox.outbox.book()).toMatchObject({ accepted: 3, delivered: 2, dropped: 1 });
});
