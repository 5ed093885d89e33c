import { expect, test } from "vitest";
import { backoff, MAX_RETRY_AFTER_MS, nextRetry } from "./retry.ts";

const policy = { base_ms: 1_000, max_delay_ms: 60_000, max_age_ms: 86_400_000 };

test.each([
  [1, 1_000],
  [2, 2_000],
  [6, 32_000],
  [7, 60_000],
  [5_000, 60_000],
])("after %i failed tries the wait is at most %i ms", (attempt, most) => {
  expect(nextRetry(policy, attempt, undefined, 0, () => 1)).toBe(most);
  expect(nextRetry(policy, attempt, undefined, 0, () => 0)).toBe(0);
});

test("a destination's own wish is a floor, up to a maximum", () => {
  expect(nextRetry(policy, 1, 30_000, 500, () => 1)).toBe(30_500);
  expect(nextRetry(policy, 6, 5_000, 0, () => 1)).toBe(32_000);
  expect(nextRetry(policy, 1, 1e12, 0, () => 1)).toBe(MAX_RETRY_AFTER_MS);
  expect(nextRetry(policy, 1, -5, 0, () => 0)).toBe(0);
});

test("jitter covers the whole range", () => {
  expect(backoff(1_000, 60_000, 3, () => 0.25)).toBe(1_000);
});
