import { expect, test } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import { aDestination, anAppend, anEventLine, bookProblems, OutboxRig, uuidsOf } from "./testing/outbox-rig.ts";

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
  const lines = ["1a", "1b", "3"].map(anEventLine);
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
  expect(outbox.replayStep({}, 0, outbox.lastDeadLetter())).toBeNull();
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
