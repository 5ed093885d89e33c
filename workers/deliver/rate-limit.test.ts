import { expect, test } from "vitest";
import { RateLimiter } from "./rate-limit.ts";

/** How many requests of `size` events start in so many seconds, and the first times. */
function starts(limiter: RateLimiter, size: number, seconds: number, from = 0): number[] {
  const at: number[] = [];
  for (let now = from; now < from + seconds * 1_000; ) {
    const until = limiter.until(now);
    if (until === null) {
      limiter.take(size, now);
      at.push(now);
    } else now = until;
  }
  return at;
}

test("without a limit nothing waits", () => {
  const limiter = new RateLimiter();
  limiter.set({}, 0);
  expect(limiter.until(0)).toBeNull();
  expect(limiter.maxEvents).toBe(Number.POSITIVE_INFINITY);
});

test("requests keep their rate from the first second on", () => {
  const limiter = new RateLimiter();
  limiter.set({ requests_per_second: 4 }, 0);
  const at = starts(limiter, 100, 60);
  expect(at.slice(0, 3)).toEqual([0, 250, 500]);
  expect(at.length).toBe(240);
});

test.each([1, 7, 100])("events keep their rate whatever a request of %i holds", (size) => {
  const limiter = new RateLimiter();
  limiter.set({ events_per_second: 50 }, 0);
  const count = starts(limiter, size, 600).length * size;
  expect(Math.abs(count - 30_000)).toBeLessThanOrEqual(size);
  expect(limiter.maxEvents).toBe(50);
});

test("after a pause one second's worth goes at once, and no more", () => {
  const limiter = new RateLimiter();
  limiter.set({ requests_per_second: 5 }, 0);
  limiter.take(1, 0);
  const at = starts(limiter, 1, 2, 60_000);
  expect(at.filter((now) => now === 60_000)).toHaveLength(5);
  expect(at).toHaveLength(5 + 9);
});

test("less than one a second is a wait of more than a second; both limits hold", () => {
  const limiter = new RateLimiter();
  limiter.set({ requests_per_second: 0.1, events_per_second: 1_000 }, 0);
  expect(starts(limiter, 1, 60)).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000]);
});

test("the same limit again changes nothing, another one begins with a single token", () => {
  const limiter = new RateLimiter();
  limiter.set({ requests_per_second: 1 }, 0);
  limiter.take(1, 0);
  limiter.set({ requests_per_second: 1 }, 0);
  expect(limiter.until(0)).toBe(1_000);
  limiter.set({ requests_per_second: 2 }, 0);
  expect(limiter.until(0)).toBeNull();
  limiter.take(1, 0);
  expect(limiter.until(0)).toBe(500);
});
