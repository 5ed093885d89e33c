import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nestsDeeperThan, opensMoreThan } from "./nesting.ts";

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe("nestsDeeperThan", () => {
  it.each([
    ["[[1]]", 1, true],
    ["[[1]]", 2, false],
    ['{"a":[{}]}', 2, true],
    ["[[],[],[],[]]", 2, false],
    ['["[[[[[["]', 1, false],
    [String.raw`["\"[[[[[["]`, 1, false],
    [String.raw`["\\",[[[[]]]]]`, 4, true],
    ["[[[[", 3, true],
  ])("of %s and %i levels is %s", (text, levels, expected) => {
    expect(nestsDeeperThan(text, levels)).toBe(expected);
  });

  it("agrees with the depth of the parsed value", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.integer({ min: 0, max: 8 }), (text, levels) => {
        expect(nestsDeeperThan(text, levels)).toBe(depthOf(JSON.parse(text)) > levels);
      }),
    );
  });
});

describe("opensMoreThan", () => {
  it("counts both kinds, inside strings too", () => {
    expect(opensMoreThan('[{"a":"[{"}]', 3)).toBe(true);
    expect(opensMoreThan('[{"a":"[{"}]', 4)).toBe(false);
  });
});
