import { expect, test } from "vitest";
import { matchesPattern } from "./pattern.ts";

test.each([
  ["$pageview", "$page*", true],
  ["$pageview", "$pageview", true],
  ["$pageview", "*view", true],
  ["$pageview", "$p*v*w", true],
  ["aa", "a*aa", false],
  ["$pageview", "page*", false],
  ["x", "*", true],
  [7, "*", false],
])("%j and %j: %j", (text, pattern, expected) => {
  expect(matchesPattern(text, pattern)).toBe(expected);
});
