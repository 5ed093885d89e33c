import { expect, it } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import { newestEvents } from "./samples.ts";

const row = (...numbers: number[]) => encodeLines(numbers.map((n) => JSON.stringify({ n })));

it("takes the newest events, newest first, and reads no more rows than that takes", () => {
  let read = 0;
  const rows = function* () {
    for (const one of [row(4, 5, 6), row(3), row(1, 2)]) {
      read++;
      yield one;
    }
  };
  expect(newestEvents(rows(), 4)).toEqual([{ n: 6 }, { n: 5 }, { n: 4 }, { n: 3 }]);
  expect(read).toBe(2);
  expect(newestEvents(rows(), 100)).toHaveLength(6);
  expect(newestEvents(rows(), 0)).toEqual([]);
});

it("takes fewer where they are large: an answer has to pass between workers", () => {
  const large = encodeLines([1, 2, 3, 4, 5, 6].map((n) => JSON.stringify({ n, text: "x".repeat(900_000) })));
  expect(newestEvents([large], 6).map((event) => (event as unknown as { n: number }).n)).toEqual([6, 5, 4, 3]);
});
