import fc from "fast-check";
import { expect, test } from "vitest";
import { addBooks, EMPTY_BOOK, isBalanced, waitingInLanes, wholeBook } from "./books.ts";
import type { Book } from "./outbox-api.ts";
import { aLaneStatus, anOutboxStatus } from "./testing/statuses.ts";

const count = fc.nat(1_000_000);
const balanced = fc
  .record({ delivered: count, filtered: count, dropped: count, dead: count, expired: count, pending: count })
  .map((terms): Book => ({ ...terms, accepted: Object.values(terms).reduce((sum, term) => sum + term, 0) }));

test("invariant 5: the sum of balanced books is balanced", () => {
  fc.assert(fc.property(balanced, balanced, (a, b) => isBalanced(addBooks(a, b))));
});

test("invariant 5: a book with one term off by one is not balanced", () => {
  fc.assert(
    fc.property(balanced, fc.constantFrom(...(Object.keys(EMPTY_BOOK) as (keyof Book)[])), (book, term) => {
      expect(isBalanced({ ...book, [term]: book[term] + 1 })).toBe(false);
    }),
  );
});

test("a negative term is no balance, even where the sum is right", () => {
  expect(isBalanced({ ...EMPTY_BOOK, delivered: 1, pending: -1 })).toBe(false);
});

test("what waits in the lanes is accepted and pending", () => {
  const lanes = [
    aLaneStatus({ lane: "a", nextSeq: 11, pending: { hook: 4, kafka: 9 } }),
    aLaneStatus({ lane: "b", nextSeq: 4, pending: { hook: 3 } }),
  ];
  const outbox = anOutboxStatus({
    book: { ...EMPTY_BOOK, accepted: 6, delivered: 5, pending: 1 },
    lanes: { a: 6 },
  });
  expect(wholeBook("hook", lanes, outbox)).toEqual({ ...EMPTY_BOOK, accepted: 13, delivered: 5, pending: 8 });
  expect(wholeBook("kafka", lanes, null)).toEqual({ ...EMPTY_BOOK, accepted: 9, pending: 9 });
});

test("events that crossed into the outbox after the lane was asked count once", () => {
  const lanes = [aLaneStatus({ lane: "a", nextSeq: 11, pending: { hook: 10 } })];
  expect(waitingInLanes("hook", lanes, { lanes: { a: 8 } })).toBe(2);
  expect(waitingInLanes("hook", lanes, { lanes: { a: 12 } })).toBe(0);
});

test("a destination that is newer than the lane's events waits for its own only", () => {
  const lanes = [aLaneStatus({ lane: "a", nextSeq: 1_001, pending: { hook: 10 } })];
  expect(waitingInLanes("hook", lanes, { lanes: { a: 0 } })).toBe(10);
});
