import { expect, test } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { Replays } from "./replays.ts";
import { settled } from "./testing/fake-timers.ts";
import { aDestination, anAppend, anEventLine, bookProblems, OutboxRig, uuidsOf } from "./testing/outbox-rig.ts";
import { replayAll } from "./testing/replay-all.ts";

const DEAD = { outcomes: { result: "dead" as const, reason: "sink answered 400", status: 400 } };

/** An outbox with so many dead letters, "acme:0-1" and on. */
async function withDeadLetters(count: number): Promise<OutboxRig> {
  const rig = new OutboxRig(aDestination());
  rig.answer = () => DEAD;
  rig.append(anAppend(0, count));
  await rig.advance(1_000);
  expect(rig.outbox.book()).toMatchObject({ dead: count, pending: 0 });
  return rig;
}

/** Events stay as they are. */
const asTheyAre = async (events: Uint8Array) => {
  const count = new TextDecoder().decode(events).split("\n").length;
  const share = { count, sources: Array.from({ length: count }, (_, i) => i), dropped: [], dead: [] };
  return { ran: count, share, lines: events };
};

/** Replays on the clock of the rig, as the object has them. */
function jobsOf(rig: OutboxRig) {
  const { outbox, sql, clock, timers } = rig;
  return new Replays({
    ...{ outbox, sql, clock, log: () => {}, append: () => Promise.reject(new Error("no other outbox")) },
    reshape: (_, events) => asTheyAre(events),
    archive: () => Promise.reject(new Error("no archive")),
    filter: async () => () => true,
    wait: (ms, wake) =>
      Promise.race([new Promise<void>((resolve) => timers.after(ms, resolve)), wake ?? new Promise<void>(() => {})]),
  });
}

const request = { from: "dead_letters" as const, team: "acme", destination: "hook", selection: {} };

test("a replay into another destination moves the letters: dropped here, accepted there, the same uuids (invariants 5, 7)", async () => {
  const rig = await withDeadLetters(5);
  const other = new OutboxRig(aDestination());
  const append = async (one: OutboxAppend) => other.append(one);
  const replayed = await replayAll(rig, { reshape: asTheyAre, append }, { ids: [1, 3, 4] }, "other");
  expect(replayed).toEqual({ replayed: 3 });
  await other.settled();
  expect(other.requests.flatMap(uuidsOf)).toEqual(["acme:0-1", "acme:0-3", "acme:0-4"]);
  expect(other.outbox.book()).toMatchObject({ accepted: 3, delivered: 3 });
  expect(other.outbox.figures()).toMatchObject({ replayed: 3, lanes: {} });
  expect(rig.outbox.book()).toMatchObject({ accepted: 5, dead: 2, dropped: 3 });
  expect(rig.outbox.figures()).toMatchObject({ moved: 3, discarded: 0 });
  expect([...bookProblems(rig.outbox), ...bookProblems(other.outbox)]).toEqual([]);
});

test("an append elsewhere whose answer is lost comes again and is taken once (invariant 2)", async () => {
  const rig = await withDeadLetters(3);
  const other = new OutboxRig(aDestination());
  let isLost = true;
  const append = async (one: OutboxAppend) => {
    const appended = other.append(one);
    if (isLost) throw new Error("the connection broke");
    return appended;
  };
  const { outbox, sql, clock } = rig;
  const life = () =>
    new Replays({
      ...{ outbox, sql, clock, append, log: () => {}, reshape: (_: string, events: Uint8Array) => asTheyAre(events) },
      archive: () => Promise.reject(new Error("no archive")),
      filter: async () => () => true,
      wait: async (ms) => {
        clock.advance(ms);
        isLost = false;
        await settled();
      },
    });
  const replays = life();
  replays.start({ ...request, id: "r", destination: "other" });
  await replays.kick();
  await other.settled();
  expect(other.outbox.book()).toMatchObject({ accepted: 3, delivered: 3 });
  expect(rig.outbox.book()).toMatchObject({ dead: 0, dropped: 3 });
});

test("the other destination's script shapes what comes; what it drops or fails on is in its books", async () => {
  const rig = await withDeadLetters(3);
  const other = new OutboxRig(aDestination());
  const lines = encodeLines([anEventLine("shaped"), anEventLine("acme:0-3")]);
  const reshape = async () => ({
    ran: 3,
    share: { count: 2, sources: [0, 2], dropped: [1], dead: [{ line: 1, message: "no" }] },
    lines,
  });
  await replayAll(rig, { reshape, append: async (one) => other.append(one) }, {}, "other");
  await other.settled();
  expect(other.outbox.book()).toMatchObject({ accepted: 3, delivered: 1, dropped: 1, dead: 1 });
  expect(rig.outbox.book()).toMatchObject({ dead: 0, dropped: 3 });
  expect(bookProblems(other.outbox)).toEqual([]);
});

test("a replay with a rate takes its time, is seen under way, and goes on after a restart", async () => {
  const rig = await withDeadLetters(60);
  const before = jobsOf(rig);
  before.start({ ...request, id: "slow", events_per_second: 10 });
  void before.kick();
  await rig.advance(2_500);
  const seen = before.statuses()[0];
  expect(seen).toMatchObject({ id: "slow", source: "hook", state: "running", total: 60, problem: null });
  expect(seen?.replayed).toBe(30);
  rig.crash();
  const after = jobsOf(rig);
  expect(after.hasWork).toBe(true);
  rig.answer = () => ({ outcomes: { result: "delivered" } });
  void after.kick();
  await rig.advance(1_500);
  expect(after.statuses()[0]?.replayed).toBe(50);
  await rig.advance(10_000);
  expect(after.statuses()[0]).toMatchObject({ state: "done", seen: 60, replayed: 60 });
  expect(after.hasWork).toBe(false);
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("a cancelled replay stops where it is, and stays so", async () => {
  const rig = await withDeadLetters(60);
  const replays = jobsOf(rig);
  replays.start({ ...request, id: "r", events_per_second: 10 });
  void replays.kick();
  await rig.advance(500);
  expect(replays.cancel("r")).toBe(true);
  expect(replays.cancel("r")).toBe(false);
  await rig.advance(60_000);
  expect(replays.statuses()[0]).toMatchObject({ state: "cancelled", replayed: 10, ended_at: expect.any(String) });
  expect(rig.outbox.book()).toMatchObject({ dead: 50, pending: 10 });
  expect(jobsOf(rig).hasWork).toBe(false);
});

test("a replay waits for room in the backlog and says so; asked for twice it is started once", async () => {
  const rig = await withDeadLetters(4);
  rig.outbox.health.pause("so that the backlog stays");
  rig.append(anAppend(4, 1));
  rig.outbox.setBacklogLimit(100);
  const replays = jobsOf(rig);
  replays.start({ ...request, id: "r" });
  replays.start({ ...request, id: "r" });
  void replays.kick();
  await rig.advance(5_000);
  expect(replays.statuses()).toMatchObject([
    { state: "running", replayed: 0, problem: expect.stringContaining("full") },
  ]);
  rig.outbox.setBacklogLimit(1_000_000);
  await rig.advance(20_000);
  expect(replays.statuses()).toMatchObject([{ state: "done", replayed: 4, problem: null }]);
});

test("dead letters are found by their reason in any case, and discarded: they count as dropped (invariant 5)", async () => {
  const rig = new OutboxRig(aDestination());
  const reasons = ["too LARGE for it", "sink answered 400", "is too large"];
  rig.answer = (work) => ({
    outcomes: uuidsOf(work).map((uuid) => ({
      result: "dead" as const,
      reason: reasons[Number(uuid.split("-")[1]) % 3] as string,
    })),
  });
  rig.append(anAppend(0, 6_000));
  await rig.advance(60_000);
  expect(rig.outbox.deadLetters({ reason: "Too Large", limit: 1 })).toMatchObject({ total: 4_000, next: 2 });
  expect(rig.outbox.deadLetters({ limit: 1, uncounted: true }).total).toBe(0);
  expect(await jobsOf(rig).discard({ reason: "nothing says so" })).toBe(0);
  const discarded = jobsOf(rig).discard({ reason: "too large" });
  await rig.advance(1_000);
  expect(await discarded).toBe(4_000);
  expect(rig.outbox.book()).toMatchObject({ accepted: 6_000, dead: 2_000, dropped: 4_000 });
  expect(rig.outbox.figures().discarded).toBe(4_000);
  expect(bookProblems(rig.outbox)).toEqual([]);
});
