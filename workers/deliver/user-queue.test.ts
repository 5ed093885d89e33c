import { expect, test } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import type { Cut } from "./event-queue.ts";
import { OutboxStore } from "./outbox-store.ts";
import { anEventLine, uuidsOf } from "./testing/outbox-rig.ts";
import { userOf, usersOf } from "./user-of.ts";
import { UserQueue } from "./user-queue.ts";

const LIMITS = { maxEvents: 100, maxBytes: 1_000_000 };

/** One chunk of events a list: "a1" is user a's. */
function aStore(...chunks: string[][]): OutboxStore {
  const store = new OutboxStore(nodeSql());
  for (const [i, uuids] of chunks.entries()) {
    const events = encodeLines(uuids.map((uuid) => anEventLine(uuid, uuid[0])));
    const count = uuids.length;
    store.insertChunk({ acceptedAt: 1_000 + i, count, bytes: events.length + 1, tokens: [["t", count]], events });
  }
  return store;
}

const cutAll = (cut: Cut | null) => (cut === null ? null : uuidsOf(cut));

test("a user is in one request at a time, and the others go on (invariant 3)", () => {
  const store = aStore(["a1", "b1", "a2", "c1"], ["b2", "a3", "d1"]);
  const queue = new UserQueue(store, "salt", []);
  const first = queue.cut({ ...LIMITS, maxEvents: 1 })!;
  expect(cutAll(first)).toEqual(["a1"]);
  const second = queue.cut({ ...LIMITS, maxEvents: 2 })!;
  expect(cutAll(second)).toEqual(["b1", "c1"]);
  expect(cutAll(queue.cut(LIMITS))).toEqual(["d1"]);
  expect(queue.cut(LIMITS)).toBeNull();
  store.transaction(() => queue.settle(first));
  queue.release(["a"]);
  expect(cutAll(queue.cut(LIMITS))).toEqual(["a2", "a3"]);
  queue.release(["b", "c"]);
  expect(cutAll(queue.cut(LIMITS))).toEqual(["b2"]);
});

test("who has a failed request is held back from the start", () => {
  const queue = new UserQueue(aStore(["a1", "b1", "a2"]), "salt", ["a", "a"]);
  expect(cutAll(queue.cut(LIMITS))).toEqual(["b1"]);
  queue.release(["a"]);
  expect(queue.cut(LIMITS)).toBeNull();
  queue.release(["a"]);
  expect(cutAll(queue.cut(LIMITS))).toEqual(["a1", "a2"]);
});

test("behind held-back users no more is read than may wait in memory: then all wait", () => {
  const queue = new UserQueue(aStore(["a1", "a2"], ["a3", "a4"], ["b1"]), "salt", ["a"], {
    maxCount: 3,
    maxBytes: 1e6,
  });
  expect(queue.next(LIMITS)).toMatchObject({ count: 0 });
  expect(queue.cut(LIMITS)).toBeNull();
  queue.release(["a"]);
  expect(cutAll(queue.cut(LIMITS))).toEqual(["a1", "a2", "a3", "a4", "b1"]);
});

test("what was under way at a restart comes again, what was settled does not, and ids tell requests apart", () => {
  const store = aStore(["a1", "b1", "a2", "b2", "c1"]);
  const queue = new UserQueue(store, "salt", []);
  queue.cut({ ...LIMITS, maxEvents: 2 });
  const b = queue.cut({ ...LIMITS, maxEvents: 2 })!;
  expect(cutAll(b)).toEqual(["b1", "b2"]);
  store.transaction(() => queue.settle(b));
  const again = new UserQueue(store, "salt", []).cut(LIMITS)!;
  expect(cutAll(again)).toEqual(["a1", "a2", "c1"]);
  const whole = new UserQueue(aStore(["a1", "b1", "a2", "b2", "c1"]), "salt", []).cut(LIMITS)!;
  expect(cutAll(whole)).toHaveLength(5);
  expect(again.id).not.toBe(whole.id);
  store.transaction(() => queue.settle({ ...again, segments: [] }));
  expect(new UserQueue(store, "salt", []).cut(LIMITS)?.id).toBe(again.id);
});

test("events that are too old are taken whoever is held back, and none that is younger", () => {
  const queue = new UserQueue(aStore(["a1", "b1"], ["a2", "b2"]), "salt", ["a"]);
  queue.next(LIMITS);
  expect(queue.oldestAt()).toBe(1_000);
  expect(cutAll(queue.cut(LIMITS, 1_000))).toEqual(["a1", "b1"]);
  expect(queue.cut(LIMITS, 1_000)).toBeNull();
  expect(queue.oldestAt()).toBe(1_001);
});

test("requests are cut by bytes, and an event that is larger than a request may be goes alone", () => {
  const bytes = anEventLine("a1", "a").length + 1;
  const queue = new UserQueue(aStore(["a1", "b1", "c1"]), "salt", []);
  expect(cutAll(queue.cut({ maxEvents: 9, maxBytes: 2 * bytes }))).toEqual(["a1", "b1"]);
  expect(cutAll(queue.cut({ maxEvents: 9, maxBytes: 1 }))).toEqual(["c1"]);
});

test.each([
  [{ uuid: "1", event: "e", distinct_id: "ann", properties: { distinct_id: "bob" } }, "ann"],
  [{ uuid: "1", event: 'say "hi"', distinct_id: "ann" }, "ann"],
  [{ uuid: "1", event: "e", distinct_id: 'an"n\\' }, 'an"n\\'],
  [{ properties: { distinct_id: "bob" }, distinct_id: "ünn" }, "ünn"],
  [{ uuid: "1", event: "e" }, ""],
  [{ uuid: "1", event: "e", distinct_id: "x".repeat(1_000) }, "x".repeat(1_000)],
])("the user of %j is %s", (event, user) => {
  const line = JSON.stringify(event);
  expect(userOf(new TextEncoder().encode(line))).toBe(user);
  expect(usersOf(encodeLines([line, line]))).toEqual([user, user]);
});
