import { expect, it } from "vitest";
import { compileFilter } from "../../../shared/filter.ts";
import { isSampled, sharePoint } from "./sample.ts";

it("samples the users that a filter samples", () => {
  const filter = compileFilter({ sample: 0.3 });
  const users = Array.from({ length: 2000 }, (_, i) => `user-${i}`);
  const sampled = users.filter((user) => isSampled(user, 0.3));
  expect(sampled).toEqual(users.filter((distinct_id) => filter({ event: "a", distinct_id, properties: {} })));
  expect(sampled.length / users.length).toBeCloseTo(0.3, 1);
});

it("has nobody in none and everybody in all", () => {
  expect(isSampled("ada", 0)).toBe(false);
  expect(isSampled("ada", 1)).toBe(true);
  expect(sharePoint("ada")).toBe(sharePoint("ada"));
});
