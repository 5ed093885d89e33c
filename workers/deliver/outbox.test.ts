import { expect, test } from "vitest";
import { migrate } from "../../shared/migrate.ts";
import { encodeLines } from "../../shared/ndjson.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import { MIGRATIONS } from "./outbox-store.ts";
import type { Reshaped } from "./reshaped.ts";
import { aDestination, anAppend, anEventLine, bookProblems, OutboxRig, uuidsOf } from "./testing/outbox-rig.ts";
import { replayAll } from "./testing/replay-all.ts";

/** An outbox that never sends: its destination is gone. */
function anIdleRig(limits = {}) {
  return new OutboxRig({ state: "gone", reason: "gone", fingerprint: "gone" }, limits);
}

test("an append is taken once, whatever borders it comes again with (invariant 2)", () => {
  const { outbox } = anIdleRig();
  expect(outbox.append(anAppend(0, 3))).toEqual({ status: "stored", through: 3 });
  expect(outbox.append(anAppend(0, 3))).toEqual({ status: "stored", through: 3 });
  expect(outbox.append(anAppend(1, 4))).toEqual({ status: "stored", through: 5 });
  expect(outbox.append(anAppend(5, 1))).toEqual({ status: "stored", through: 6 });
  const work = outbox.takeFresh({ maxEvents: 100, maxBytes: 1e6, maxWaitMs: 0, concurrency: 1, timeoutMs: 1 });
  expect(uuidsOf(work!)).toEqual([1, 2, 3, 4, 5, 6].map((seq) => `acme:0-${seq}`));
  expect(outbox.book()).toMatchObject({ accepted: 6, pending: 6 });
});

test("a gap is refused with the position to send again from, an unknown lane is taken from where it stands", () => {
  const { outbox } = anIdleRig();
  expect(outbox.append(anAppend(40, 2))).toEqual({ status: "stored", through: 42 });
  expect(outbox.append(anAppend(43, 2))).toEqual({ status: "gap", through: 42 });
  expect(outbox.append(anAppend(0, 2, { lane: "acme:1" }))).toEqual({ status: "stored", through: 2 });
  expect(outbox.figures().lanes).toEqual({ "acme:0": 42, "acme:1": 2 });
});

test("what scripts added, dropped and filtered is counted beside what is sent (invariant 5)", () => {
  const { outbox } = anIdleRig();
  const lines = ["1a", "1b", "3"].map((uuid) => anEventLine(uuid));
  // 1 became three, one of which was filtered; 2 was dropped; 3 passed; 4 was let go of by the lane.
  outbox.append(
    anAppend(0, 4, {
      ...{ events: encodeLines(lines), seqs: [1, 1, 3], tokens: [["phc_acme", 3]] },
      ...{ dropped: [2], filtered: [1], expired: [4] },
    }),
  );
  expect(outbox.book()).toEqual({
    accepted: 6,
    delivered: 0,
    filtered: 1,
    dropped: 1,
    dead: 0,
    expired: 1,
    pending: 3,
  });
  expect(outbox.figures().emitted).toBe(2);
  expect(bookProblems(outbox)).toEqual([]);
});

test("an append whose events and seqs do not match is refused whole", () => {
  const { outbox } = anIdleRig();
  expect(() => outbox.append(anAppend(0, 2, { through: 3 }))).toThrow("2 events for 3 seqs");
  expect(outbox.book().accepted).toBe(0);
  expect(outbox.append(anAppend(0, 2))).toEqual({ status: "stored", through: 2 });
});

test("over its byte cap an outbox takes nothing, except what has no events", () => {
  const { outbox } = anIdleRig();
  outbox.append(anAppend(0, 2));
  outbox.setBacklogLimit(outbox.pending().bytes + 10);
  expect(outbox.append(anAppend(2, 1))).toMatchObject({ status: "full", through: 2 });
  const none = { events: new Uint8Array(), seqs: [], tokens: [] };
  expect(outbox.append(anAppend(2, 1, { ...none, filtered: [3] }))).toEqual({ status: "stored", through: 3 });
  expect(outbox.book()).toMatchObject({ accepted: 3, filtered: 1, pending: 2 });
});

test("a large append is split into chunks that a row can hold, and comes out in order", () => {
  const rig = anIdleRig({ maxChunkBytes: 200 });
  rig.outbox.append(
    anAppend(0, 10, {
      tokens: [
        ["a", 4],
        ["b", 6],
      ],
    }),
  );
  expect(Number([...rig.sql.query<{ n: number }>("SELECT COUNT(*) AS n FROM chunks")][0]?.n)).toBeGreaterThan(3);
  const work = rig.outbox.takeFresh({ maxEvents: 100, maxBytes: 1e6, maxWaitMs: 0, concurrency: 1, timeoutMs: 1 });
  expect(uuidsOf(work!)).toEqual(Array.from({ length: 10 }, (_, i) => `acme:0-${i + 1}`));
  expect(work!.tokens).toEqual([..."aaaabbbbbb"]);
});

test("an event that no row can hold becomes a dead letter that says so, and does not stop the lane", () => {
  const { outbox } = anIdleRig();
  const huge = JSON.stringify({
    uuid: "huge",
    event: "e",
    distinct_id: "u",
    properties: { text: "x".repeat(2_000_000) },
  });
  const events = encodeLines([anEventLine("1"), huge, anEventLine("3")]);
  expect(outbox.append(anAppend(0, 3, { events }))).toEqual({ status: "stored", through: 3 });
  expect(outbox.book()).toMatchObject({ accepted: 3, pending: 2, dead: 1 });
  const [letter] = outbox.deadLetters({}).dead_letters;
  expect(letter).toMatchObject({ uuid: "huge", body: null, attempts: 0 });
  expect(letter?.reason).toMatch(/2000\d+ bytes/);
  expect(outbox.replayable({}, 0, outbox.lastDeadLetter(), 500)).toEqual([]);
});

test("dead letters are listed by page and filter, with what was answered", async () => {
  const rig = new OutboxRig();
  rig.answer = () => ({ outcomes: { result: "dead", reason: "sink answered 400", status: 400, response: "no" } });
  rig.append(anAppend(0, 5));
  await rig.settled();
  const page = rig.outbox.deadLetters({ limit: 2 });
  expect(page).toMatchObject({ total: 5, next: page.dead_letters[1]?.id });
  expect(page.dead_letters[0]).toEqual({
    ...{ id: 1, uuid: "acme:0-1", event: "$pageview", distinct_id: "u", reason: "sink answered 400", status: 400 },
    ...{ response: "no", attempts: 1, died_at: new Date(rig.clock.now()).toISOString() },
    body: { uuid: "acme:0-1", event: "$pageview", distinct_id: "u", properties: {} },
  });
  expect(rig.outbox.deadLetters({ limit: 10, after: page.next! })).toMatchObject({ total: 5, next: null });
  expect(rig.outbox.deadLetters({ ids: [2, 4] }).dead_letters.map(({ uuid }) => uuid)).toEqual([
    "acme:0-2",
    "acme:0-4",
  ]);
  expect(rig.outbox.deadLetters({ event: "other" }).total).toBe(0);
  expect(rig.outbox.deadLetters({ until: new Date(rig.clock.now()).toISOString() }).total).toBe(0);
  expect(rig.outbox.deadLetters({ since: new Date(rig.clock.now()).toISOString() }).total).toBe(5);
});

test("beyond their limits the oldest dead letters go and are counted as expired (invariant 5)", async () => {
  const rig = new OutboxRig(aDestination(), { maxCount: 3 });
  rig.answer = () => ({ outcomes: { result: "dead", reason: "no" } });
  rig.append(anAppend(0, 5));
  await rig.settled();
  expect(rig.outbox.book()).toMatchObject({ dead: 3, expired: 2 });
  rig.clock.advance(31 * 24 * 3_600_000);
  while (rig.outbox.trimDeadLetters());
  expect(rig.outbox.book()).toMatchObject({ dead: 0, expired: 5 });
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("ids of chunks are never used again, so that a saved position cannot skip new events", async () => {
  const rig = new OutboxRig();
  rig.append(anAppend(0, 1));
  await rig.settled();
  rig.append(anAppend(1, 1));
  await rig.settled();
  expect(rig.requests.map(({ cut }) => cut?.segments[0]?.chunk)).toEqual([1, 2]);
});

const SCRIPT_FAILED = "the destination's script failed: no";

/** Five events of which the script failed on the second and the last. */
const withFailures = () =>
  anAppend(0, 5, { shaped: true, dead: [1, 4].map((line) => ({ line, reason: SCRIPT_FAILED })) });

test("what the destination's script failed on is a dead letter at once, whatever borders it comes again with (invariants 2, 5)", () => {
  const { outbox } = anIdleRig();
  outbox.append(withFailures());
  outbox.append(withFailures());
  outbox.append(anAppend(4, 2, { dead: [{ line: 0, reason: SCRIPT_FAILED }] }));
  expect(outbox.book()).toMatchObject({ accepted: 6, pending: 4, dead: 2 });
  expect(bookProblems(outbox)).toEqual([]);
  const { dead_letters: letters } = outbox.deadLetters({});
  expect(letters[0]).toMatchObject({
    uuid: "acme:0-2",
    reason: SCRIPT_FAILED,
    attempts: 0,
    status: null,
    unshaped: true,
  });
  expect(letters.map(({ uuid }) => uuid)).toEqual(["acme:0-2", "acme:0-5"]);
  const work = outbox.takeFresh({ maxEvents: 100, maxBytes: 1e6, maxWaitMs: 0, concurrency: 1, timeoutMs: 1 });
  expect(uuidsOf(work!)).toEqual(["acme:0-1", "acme:0-3", "acme:0-4", "acme:0-6"]);
});

test("dead letters that came by themselves need no room in a full outbox, and have limits of their own", () => {
  const { outbox } = anIdleRig({ maxCount: 1 });
  outbox.append(anAppend(0, 1));
  outbox.setBacklogLimit(outbox.pending().bytes);
  const dead = [0, 1].map((line) => ({ line, reason: SCRIPT_FAILED }));
  expect(outbox.append(anAppend(1, 2, { dead }))).toMatchObject({ status: "stored" });
  expect(outbox.book()).toMatchObject({ accepted: 3, pending: 1, dead: 1, expired: 1 });
});

test("a dead line that is not there refuses the append whole", () => {
  const { outbox } = anIdleRig();
  expect(() => outbox.append(anAppend(0, 2, { dead: [{ line: 2, reason: "" }] }))).toThrow("no line 2");
  expect(outbox.book().accepted).toBe(0);
});

test("a replay runs the script again on what it failed on: it is sent, split, dropped or dead once more (invariant 5)", async () => {
  const rig = anIdleRig();
  const { outbox } = rig;
  const dead = [0, 1, 2, 3].map((line) => ({ line, reason: SCRIPT_FAILED }));
  outbox.append(
    anAppend(0, 4, {
      dead,
      tokens: [
        ["a", 2],
        ["b", 2],
      ],
    }),
  );
  const given: string[] = [];
  // The first becomes two, the second is dropped, the third fails again; the fourth comes in a run of its own.
  const reshape = async (events: Uint8Array): Promise<Reshaped> => {
    const lines = new TextDecoder().decode(events).split("\n");
    given.push(...lines.map((line) => JSON.parse(line).uuid));
    if (lines.length === 1) return made(1, ["4"], [0], [], []);
    return made(3, ["1", "1b", lines[2]!], [0, 0, 2], [1], [{ line: 2, message: "still no" }]);
  };
  expect(await replayAll(rig, { reshape })).toEqual({ replayed: 3 });
  expect(given).toEqual(["acme:0-1", "acme:0-2", "acme:0-3", "acme:0-4", "acme:0-4"]);
  expect(outbox.book()).toMatchObject({ accepted: 5, pending: 3, dropped: 1, dead: 1 });
  expect(bookProblems(outbox)).toEqual([]);
  expect(outbox.deadLetters({}).dead_letters).toMatchObject([{ uuid: "acme:0-3", reason: "still no", unshaped: true }]);
  const work = outbox.takeFresh({ maxEvents: 100, maxBytes: 1e6, maxWaitMs: 0, concurrency: 1, timeoutMs: 1 });
  expect([uuidsOf(work!), work!.tokens, work!.shaped]).toEqual([["1", "1b", "4"], ["a", "a", "b"], true]);
});

test("while the script cannot be run, what needs it stays and the others are replayed", async () => {
  const rig = new OutboxRig();
  rig.answer = () => ({ outcomes: { result: "dead", reason: "no" } });
  rig.append(withFailures());
  await rig.settled();
  rig.config = { state: "gone", reason: "gone", fingerprint: "gone" };
  await rig.drain.load();
  const deps = { reshape: async () => ({ problem: "the sandbox is away" }) };
  expect(await replayAll(rig, deps)).toEqual({ replayed: 3, problem: "the sandbox is away" });
  expect(rig.outbox.book()).toMatchObject({ accepted: 5, pending: 3, dead: 2 });
  expect(await replayAll(rig, deps)).toEqual({ replayed: 0, problem: "the sandbox is away" });
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("dead letters that somebody else has replayed meanwhile are not replayed twice (invariant 2)", async () => {
  const rig = anIdleRig();
  const { outbox } = rig;
  outbox.append(anAppend(0, 2, { dead: [0, 1].map((line) => ({ line, reason: SCRIPT_FAILED })) }));
  const twice = async (events: Uint8Array): Promise<Reshaped> => {
    const whole = async () =>
      made(
        2,
        new TextDecoder()
          .decode(events)
          .split("\n")
          .map((line) => JSON.parse(line).uuid),
        [0, 1],
        [],
        [],
      );
    const letters = outbox.replayable({}, 0, outbox.lastDeadLetter(), 500);
    expect(outbox.revive(letters, await whole(), () => {})).toBe(2);
    return whole();
  };
  expect(await replayAll(rig, { reshape: twice })).toEqual({ replayed: 0 });
  expect(outbox.book()).toMatchObject({ accepted: 2, pending: 2, dead: 0 });
  expect(bookProblems(outbox)).toEqual([]);
});

function made(
  ran: number,
  uuids: string[],
  sources: number[],
  dropped: number[],
  dead: Reshaped["share"]["dead"],
): Reshaped {
  const lines = uuids.map((uuid) => (uuid.startsWith("{") ? uuid : anEventLine(uuid)));
  return { ran, share: { count: lines.length, sources, dropped, dead }, lines: encodeLines(lines) };
}

test("requests that a script shaped go alone, in order, without waiting to be filled", async () => {
  const rig = new OutboxRig(aDestination({ ordered: true, batch: { max_wait_ms: 10_000 } }));
  const shaped = (uuid: string) => JSON.stringify({ uuid, event: "e", distinct_id: "u", $request: { body: uuid } });
  const lines = [shaped("1"), anEventLine("2"), anEventLine("3"), shaped("4"), shaped("5"), anEventLine("6")];
  rig.append(anAppend(0, 6, { events: encodeLines(lines), shaped: true }));
  await rig.settled();
  expect(rig.sent()).toEqual([["1"]]);
  await rig.advance(10_000);
  await rig.advance(10_000);
  expect(rig.sent()).toEqual([["1"], ["2", "3"], ["4"], ["5"], ["6"]]);
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("events that hold such a field without a script of the destination's are events", async () => {
  const rig = new OutboxRig();
  const lines = [1, 2].map((n) => JSON.stringify({ uuid: `${n}`, event: "e", distinct_id: "u", $request: {} }));
  rig.append(anAppend(0, 2, { events: encodeLines(lines) }));
  await rig.settled();
  expect(rig.sent()).toEqual([["1", "2"]]);
  expect(rig.requests[0]?.shaped).toBe(false);
});

test("an outbox that may hold shaped requests knows it after a crash", async () => {
  const rig = anIdleRig();
  rig.append(anAppend(0, 1, { shaped: true }));
  rig.crash();
  expect(
    rig.outbox.takeFresh({ maxEvents: 1, maxBytes: 1e6, maxWaitMs: 0, concurrency: 1, timeoutMs: 1 })?.shaped,
  ).toBe(true);
});

test("a database of the version before keeps its dead letters and takes new ones (migration 0002)", () => {
  const sql = nodeSql();
  migrate(sql, MIGRATIONS.slice(0, 1));
  sql.run(
    `INSERT INTO dead_letters (died_at, bytes, uuid, event, distinct_id, token, attempts, reason, status, response, body)
     VALUES (?, 200, 'old', 'e', 'u', 't', 1, 'no', 400, NULL, ?)`,
    new FakeClock().now(),
    new TextEncoder().encode(anEventLine("old")),
  );
  sql.run("UPDATE book SET accepted = 1");
  const rig = new OutboxRig({ state: "gone", reason: "gone", fingerprint: "gone" }, {}, sql);
  rig.append(anAppend(0, 1, { dead: [{ line: 0, reason: SCRIPT_FAILED }] }));
  const letters = rig.outbox.deadLetters({}).dead_letters;
  expect(letters.map(({ uuid, unshaped }) => [uuid, unshaped])).toEqual([
    ["old", undefined],
    ["acme:0-1", true],
  ]);
  expect(bookProblems(rig.outbox)).toEqual([]);
});
