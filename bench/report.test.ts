import { expect, it } from "vitest";
import { inTurns, median, table } from "./report.ts";

it("prints figure, baseline, ratio and whether the mark holds", () => {
  const text = table([
    { what: "single", value: 5_000, unit: "requests/s", baseline: { what: "hello", value: 10_000 }, atLeast: 0.35 },
    {
      what: "batch",
      value: 20,
      unit: "events/s",
      baseline: { what: "parse", value: 100 },
      atLeast: 0.25,
      note: "alone",
    },
    { what: "delay", value: 150, unit: "ms", atMost: 2_000 },
  ]);
  const [head, , single, batch, delay] = text.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  expect(head).toEqual(["", "what", "figure", "baseline", "ratio", "mark", ""]);
  expect(single).toEqual(["", "single", "5,000 requests/s", "10,000 hello", "50 %", "holds: at least 35 %", ""]);
  expect(batch).toEqual(["", "batch (alone)", "20.0 events/s", "100 parse", "20 %", "MISSES: at least 25 %", ""]);
  expect(delay).toEqual(["", "delay", "150 ms", "", "", "holds: at most 2,000 ms", ""]);
});

it("measures baseline and figure in turns and takes medians", async () => {
  const order: string[] = [];
  const give = (name: string, values: number[]) => async () => {
    order.push(name);
    return values.shift() ?? 0;
  };
  expect(await inTurns(3, give("a", [3, 1, 2]), give("b", [9, 30, 10]))).toEqual({ baseline: 2, measured: 10 });
  expect(order).toEqual(["a", "b", "a", "b", "a", "b"]);
});

it("the median of an even number of values lies between the middle two", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
});
