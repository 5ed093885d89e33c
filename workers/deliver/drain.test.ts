import { expect, test } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import type { Sent } from "./destinations/destination.ts";
import {
  aDestination,
  anAppend,
  anEventLine,
  bookProblems,
  DELIVERED,
  FAILED,
  OutboxRig,
  uuidsOf,
} from "./testing/outbox-rig.ts";
import { replayAll } from "./testing/replay-all.ts";

const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `acme:0-${from + i}`);

test("requests are cut by count across chunk borders", async () => {
  const rig = new OutboxRig(aDestination({ batch: { max_events: 4, max_wait_ms: 0 } }));
  rig.drain.kick();
  for (let i = 0; i < 3; i++) rig.outbox.append(anAppend(i * 3, 3));
  rig.drain.kick();
  await rig.settled();
  expect(rig.sent()).toEqual([ids(1, 4), ids(5, 8), ids(9, 9)]);
  expect(rig.outbox.book()).toMatchObject({ accepted: 9, delivered: 9, pending: 0 });
});

test("a request waits to be filled, and no longer than it may", async () => {
  const rig = new OutboxRig(aDestination({ batch: { max_events: 3, max_wait_ms: 1_000 } }));
  rig.append(anAppend(0, 2));
  await rig.advance(999);
  expect(rig.sent()).toEqual([]);
  await rig.advance(1);
  expect(rig.sent()).toEqual([ids(1, 2)]);
  rig.append(anAppend(2, 3));
  await rig.settled();
  expect(rig.sent()[1]).toEqual(ids(3, 5));
});

test("no more requests are under way than the destination allows, and a free place is filled at once", async () => {
  const rig = new OutboxRig(aDestination({ concurrency: 2, batch: { max_events: 1 } }));
  const open: ((sent: Sent) => void)[] = [];
  rig.answer = () => new Promise<Sent>((resolve) => open.push(resolve));
  rig.append(anAppend(0, 3));
  await rig.settled();
  expect(rig.sent()).toHaveLength(2);
  open[1]?.(DELIVERED);
  await rig.settled();
  expect(rig.sent()).toEqual([ids(1, 1), ids(2, 2), ids(3, 3)]);
  expect(rig.outbox.book()).toMatchObject({ delivered: 1, pending: 2 });
});

test("a failed request comes again as it was, under the same id, after its wait", async () => {
  const rig = new OutboxRig(aDestination({ batch: { max_events: 2, max_wait_ms: 0 } }));
  let failures = 2;
  rig.answer = (work) => (work.id.includes("1.0-1.2") && failures-- > 0 ? FAILED : DELIVERED);
  rig.append(anAppend(0, 4));
  await rig.settled();
  expect(rig.sent()).toEqual([ids(1, 2), ids(3, 4)]);
  await rig.advance(999);
  expect(rig.sent()).toHaveLength(2);
  await rig.advance(1);
  await rig.advance(2_000);
  const again = rig.requests.filter(({ cut }) => cut === null);
  expect(again.map(({ id, attempt }) => [id, attempt])).toEqual([
    [rig.requests[0]?.id, 2],
    [rig.requests[0]?.id, 3],
  ]);
  expect(rig.outbox.book()).toMatchObject({ delivered: 4, pending: 0 });
});

test("Retry-After is waited for, and throttling stops the others without opening the breaker", async () => {
  const rig = new OutboxRig(aDestination({ concurrency: 1, batch: { max_events: 1 } }));
  let throttle = true;
  rig.answer = () =>
    throttle ? { outcomes: { result: "retry", reason: "429", afterMs: 30_000, throttled: true } } : DELIVERED;
  rig.append(anAppend(0, 2));
  await rig.settled();
  expect(rig.sent()).toHaveLength(1);
  expect(rig.drain.condition().breaker).toBe("closed");
  throttle = false;
  await rig.advance(29_999);
  expect(rig.sent()).toHaveLength(1);
  await rig.advance(1);
  expect(rig.outbox.book()).toMatchObject({ delivered: 2 });
});

test("who says that a destination is well again need not wait for the breaker's cool-down", async () => {
  const rig = new OutboxRig(aDestination({ concurrency: 1, batch: { max_events: 1 } }));
  rig.answer = () => FAILED;
  rig.append(anAppend(0, 20));
  await rig.advance(10_000);
  expect(rig.drain.condition().breaker).toBe("open");
  rig.answer = () => DELIVERED;
  const before = rig.requests.length;
  rig.drain.kick();
  await rig.settled();
  expect(rig.requests.length).toBe(before);
  rig.drain.trust();
  rig.drain.kick();
  await rig.settled();
  expect(rig.requests.length).toBeGreaterThan(before);
});

test("the breaker opens after failures in a row, sends nothing while open, and closes with a good probe", async () => {
  const rig = new OutboxRig(aDestination({ concurrency: 1, batch: { max_events: 1 } }));
  rig.answer = () => FAILED;
  rig.append(anAppend(0, 20));
  await rig.settled();
  expect(rig.drain.condition()).toMatchObject({ breaker: "open", lastError: "sink answered 500" });
  expect(rig.sent()).toHaveLength(5);
  await rig.advance(999);
  expect(rig.sent()).toHaveLength(5);
  rig.answer = () => DELIVERED;
  await rig.advance(60_000);
  expect(rig.drain.condition()).toMatchObject({ breaker: "closed", lastError: null });
  expect(rig.outbox.book()).toMatchObject({ delivered: 20, pending: 0 });
});

test("an ordered destination has one request under way, and a failed one holds back those behind it (invariant 3)", async () => {
  const rig = new OutboxRig(aDestination({ ordered: true, concurrency: 4, batch: { max_events: 2, max_wait_ms: 0 } }));
  rig.answer = () => (rig.requests.length <= 2 ? FAILED : DELIVERED);
  rig.append(anAppend(0, 5));
  await rig.advance(10_000);
  expect(rig.sent()).toEqual([ids(1, 2), ids(1, 2), ids(1, 2), ids(3, 4), ids(5, 5)]);
});

test("of a partly failed request only what failed comes again, dead events go to the dead letters", async () => {
  const rig = new OutboxRig(aDestination({ ordered: true }));
  rig.answer = (work) =>
    work.count === 1
      ? DELIVERED
      : {
          outcomes: [
            { result: "delivered" },
            { result: "retry", reason: "code 50003", status: 50003 },
            { result: "dead", reason: "code 50002", status: 50002 },
          ],
        };
  rig.append(
    anAppend(0, 3, {
      tokens: [
        ["a", 1],
        ["b", 1],
        ["c", 1],
      ],
    }),
  );
  await rig.settled();
  expect(rig.outbox.book()).toMatchObject({ delivered: 1, dead: 1, pending: 1 });
  expect(bookProblems(rig.outbox)).toEqual([]);
  await rig.advance(1_000);
  expect(rig.sent()[1]).toEqual(ids(2, 2));
  expect(rig.requests[1]?.tokens).toEqual(["b"]);
  expect(rig.outbox.book()).toMatchObject({ delivered: 2, dead: 1, pending: 0 });
});

test("events past their maximum age become dead letters that say so, tried or not", async () => {
  const rig = new OutboxRig(aDestination({ retry: { max_age_ms: 60_000 }, concurrency: 1, batch: { max_events: 1 } }));
  rig.answer = () => FAILED;
  rig.append(anAppend(0, 10));
  await rig.advance(61_000);
  expect(rig.outbox.book()).toMatchObject({ accepted: 10, dead: 10, pending: 0 });
  const reasons = rig.outbox.deadLetters({}).dead_letters.map(({ reason }) => reason);
  expect(reasons[0]).toBe("not delivered within 60 s (retry.max_age_ms); the last answer was: sink answered 500");
  expect(reasons).toContain("not delivered within 60 s (retry.max_age_ms); it was never tried");
});

test("a destination that is gone (410) is sent nothing until its configuration changes, restarts included", async () => {
  const rig = new OutboxRig(aDestination({ batch: { max_events: 1 }, concurrency: 1 }));
  rig.answer = () => ({ outcomes: { result: "disable", reason: "sink answered 410: it wants no more events" } });
  rig.append(anAppend(0, 3));
  await rig.settled();
  rig.answer = () => DELIVERED;
  await rig.advance(3_600_000);
  rig.crash();
  await rig.advance(1_000);
  expect(rig.sent()).toHaveLength(1);
  expect(rig.drain.condition().disabled).toContain("410");
  expect(rig.outbox.book()).toMatchObject({ pending: 3 });
  rig.config = aDestination({ batch: { max_events: 1 } }, "v2");
  await rig.drain.load();
  await rig.settled();
  expect(rig.drain.condition().disabled).toBeNull();
  expect(rig.outbox.book()).toMatchObject({ delivered: 3, pending: 0 });
});

test("while the configuration cannot be read everything is held, and it is tried again", async () => {
  const rig = new OutboxRig(new Error("D1 is away"));
  rig.append(anAppend(0, 2));
  await rig.settled();
  expect(rig.drain.condition().lastError).toContain("D1 is away");
  expect(rig.sent()).toEqual([]);
  rig.config = aDestination();
  await rig.advance(10_000);
  expect(rig.outbox.book()).toMatchObject({ delivered: 2 });
});

test("events of a destination that is no longer configured are held, and the status says so", async () => {
  const rig = new OutboxRig({ state: "gone", reason: "destination gone", fingerprint: "gone" });
  rig.append(anAppend(0, 2));
  await rig.advance(48 * 3_600_000);
  expect(rig.outbox.book()).toMatchObject({ pending: 2, dead: 0 });
  expect(rig.drain.condition().disabled).toBe("destination gone");
});

test("a crash loses nothing and repeats only what was under way (invariant 2)", async () => {
  const rig = new OutboxRig(aDestination({ concurrency: 3, batch: { max_events: 2, max_wait_ms: 0 } }));
  rig.answer = (work) => (work.id.includes("1.2-") ? DELIVERED : new Promise<Sent>(() => {}));
  rig.append(anAppend(0, 8));
  await rig.settled();
  expect(rig.outbox.book()).toMatchObject({ delivered: 2, pending: 6 });
  const before = rig.requests.splice(0).map(({ id }) => id);
  rig.answer = () => DELIVERED;
  rig.crash();
  await rig.settled();
  expect(rig.sent().flat().sort()).toEqual([...ids(1, 2), ...ids(5, 8)]);
  expect(before).toContain(rig.requests[0]?.id);
  expect(rig.outbox.book()).toMatchObject({ accepted: 8, delivered: 8, pending: 0 });
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("after a failed write it starts again from the rows", async () => {
  const rig = new OutboxRig();
  const { transaction } = rig.sql;
  rig.append(anAppend(0, 2));
  rig.sql.transaction = () => {
    throw new Error("disk full");
  };
  await rig.settled();
  expect(rig.drain.condition().lastError).toContain("disk full");
  rig.sql.transaction = transaction;
  await rig.advance(5_000);
  expect(rig.sent()).toEqual([ids(1, 2), ids(1, 2)]);
  expect(rig.outbox.book()).toMatchObject({ accepted: 2, delivered: 2, pending: 0 });
});

test("what ends after a failed write is not booked on half-written memory: nothing is lost (invariants 2 and 5)", async () => {
  const rig = new OutboxRig(aDestination({ concurrency: 2, batch: { max_events: 2, max_wait_ms: 0 } }));
  const open: ((sent: Sent) => void)[] = [];
  rig.answer = () => new Promise<Sent>((resolve) => open.push(resolve));
  // Two requests share the chunk. The write about the first one fails at its end, the one about the second would work.
  rig.append(anAppend(0, 4));
  await rig.settled();
  const { transaction } = rig.sql;
  rig.sql.transaction = (body) =>
    transaction(() => {
      body();
      throw new Error("disk full");
    });
  open[0]?.(FAILED);
  await rig.settled();
  rig.sql.transaction = transaction;
  open[1]?.(DELIVERED);
  await rig.settled();
  rig.answer = () => DELIVERED;
  await rig.advance(10_000);
  expect(new Set(rig.sent().slice(2).flat())).toEqual(new Set(ids(1, 4)));
  expect(rig.outbox.book()).toMatchObject({ accepted: 4, delivered: 4, pending: 0 });
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("replayed dead letters are pending again and keep their uuid (invariants 5 and 7)", async () => {
  const rig = new OutboxRig(aDestination({ retry: { max_age_ms: 1_000 } }));
  rig.answer = () => FAILED;
  rig.append(
    anAppend(0, 3, {
      tokens: [
        ["a", 1],
        ["b", 2],
      ],
    }),
  );
  await rig.advance(1_000);
  expect(rig.outbox.book()).toMatchObject({ dead: 3, pending: 0 });
  rig.answer = () => DELIVERED;
  rig.requests.length = 0;
  expect(await replayAll(rig, {}, { ids: [2, 3] })).toEqual({ replayed: 2 });
  expect(bookProblems(rig.outbox)).toEqual([]);
  rig.drain.kick();
  await rig.advance(60_000);
  expect(rig.sent()).toEqual([ids(2, 3)]);
  expect(rig.requests[0]?.tokens).toEqual(["b", "b"]);
  expect(rig.outbox.book()).toMatchObject({ accepted: 3, delivered: 2, dead: 1, pending: 0 });
});

test("a rate limit spaces requests, counts as no failure and is shown; after a restart it begins with one request", async () => {
  const rig = new OutboxRig(aDestination({ rate_limit: { requests_per_second: 2 }, batch: { max_events: 1 } }));
  rig.append(anAppend(0, 6));
  await rig.settled();
  expect(rig.sent()).toHaveLength(1);
  const { rateLimitedUntil, breaker, lastError } = rig.drain.condition();
  expect([breaker, lastError]).toEqual(["closed", null]);
  expect(Date.parse(rateLimitedUntil!)).toBe(rig.clock.now() + 500);
  await rig.advance(1_000);
  expect(rig.sent()).toHaveLength(3);
  rig.crash();
  await rig.settled();
  expect(rig.sent()).toHaveLength(4);
  await rig.advance(10_000);
  expect(rig.outbox.book()).toMatchObject({ delivered: 6, pending: 0, dead: 0 });
  expect(rig.drain.condition().rateLimitedUntil).toBeNull();
});

test("a limit of events makes requests of a second's worth at most", async () => {
  const rig = new OutboxRig(aDestination({ rate_limit: { events_per_second: 10 }, batch: { max_events: 100 } }));
  rig.append(anAppend(0, 40));
  await rig.advance(2_000);
  expect(rig.sent().map(({ length }) => length)).toEqual([10, 10, 10]);
  await rig.advance(1_000);
  expect(rig.outbox.book()).toMatchObject({ delivered: 40 });
});

test("under a rate limit failed requests and fresh events go in turns", async () => {
  const limit = { rate_limit: { requests_per_second: 1 }, retry: { base_ms: 10, max_delay_ms: 10 } };
  const rig = new OutboxRig(aDestination({ ...limit, batch: { max_events: 1 } }));
  // Never so many failures in a row that the breaker opens.
  rig.answer = ({ events }) => (/acme:0-[123]"/.test(new TextDecoder().decode(events)) ? FAILED : DELIVERED);
  rig.append(anAppend(0, 20));
  await rig.advance(60_000);
  expect(rig.outbox.book()).toMatchObject({ delivered: 17, pending: 3 });
});

const users = (...uuids: string[]) => ({
  events: encodeLines(uuids.map((uuid) => anEventLine(uuid, uuid[0]))),
});

test("ordered, a failed event holds back later ones of its user while others go on, and a dead one lets them go (invariant 3)", async () => {
  const rig = new OutboxRig(aDestination({ ordered: true, concurrency: 3, batch: { max_events: 1 } }));
  let answer: Sent = FAILED;
  rig.answer = (work) => (uuidsOf(work)[0]?.startsWith("a") ? answer : DELIVERED);
  rig.append(anAppend(0, 6, users("a1", "b1", "a2", "c1", "b2", "a3")));
  await rig.settled();
  expect(rig.sent().flat()).toEqual(["a1", "b1", "c1", "b2"]);
  rig.crash();
  await rig.settled();
  expect(rig.sent().flat()).toEqual(["a1", "b1", "c1", "b2"]);
  answer = { outcomes: { result: "dead", reason: "400", status: 400 } };
  await rig.advance(1_000);
  expect(rig.sent().flat().slice(4)).toEqual(["a1", "a2", "a3"]);
  expect(rig.outbox.book()).toMatchObject({ delivered: 3, dead: 3, pending: 0 });
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("a destination that becomes ordered waits for what is under way, and holds back who has failed before", async () => {
  const rig = new OutboxRig(aDestination({ concurrency: 2, batch: { max_events: 1 } }));
  const open: ((sent: Sent) => void)[] = [];
  rig.answer = () => new Promise<Sent>((resolve) => open.push(resolve));
  rig.append(anAppend(0, 5, users("a1", "b1", "a2", "b2", "c1")));
  await rig.settled();
  rig.config = aDestination({ ordered: true, concurrency: 2, batch: { max_events: 1 } }, "v2");
  await rig.drain.load();
  await rig.settled();
  expect(rig.sent().flat()).toEqual(["a1", "b1"]);
  rig.answer = () => DELIVERED;
  open[0]?.(FAILED);
  open[1]?.(DELIVERED);
  await rig.settled();
  expect(rig.sent().flat().slice(2)).toEqual(["b2", "c1"]);
  await rig.advance(1_000);
  expect(rig.sent().flat().slice(4)).toEqual(["a1", "a2"]);
  expect(rig.outbox.book()).toMatchObject({ delivered: 5 });
});
