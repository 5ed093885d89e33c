import { expect, test } from "vitest";
import { admission, type BreakerSignal, type BreakerState, breakerAfter, breakerAt, CLOSED } from "./breaker.ts";

const limits = { failures: 3, minCoolDownMs: 1_000, maxCoolDownMs: 60_000 };
const after = (state: BreakerState, now: number, ...signals: BreakerSignal[]) =>
  signals.reduce((s, signal) => breakerAfter(s, signal, now, () => 1, limits), state);

test("it opens after so many failures in a row, not before", () => {
  expect(after(CLOSED, 0, "failure", "failure", "success", "failure", "failure").state).toBe("closed");
  const open = after(CLOSED, 0, "failure", "failure", "failure");
  expect(open.state).toBe("open");
  expect(admission(open, 0)).toEqual({ slots: 0, until: open.openUntil });
});

test("after the cool-down one probe goes through; its success closes, its failure opens for twice as long", () => {
  const open = after(CLOSED, 0, "failure", "failure", "failure");
  const later = open.openUntil;
  expect(breakerAt(open, later).state).toBe("half-open");
  expect(admission(open, later)).toEqual({ slots: 1, until: null });
  expect(after(open, later, "success")).toEqual(CLOSED);
  const again = after(open, later, "failure");
  expect(again.openUntil - later).toBe(2 * open.openUntil);
});

test("the cool-down stays within its bounds, whatever chance says", () => {
  let state: BreakerState = CLOSED;
  let now = 0;
  for (let i = 0; i < 40; i++) {
    state = breakerAfter(state, "failure", now, () => i % 2, limits);
    if (state.state !== "open") continue;
    expect(state.openUntil - now).toBeGreaterThanOrEqual(limits.minCoolDownMs);
    expect(state.openUntil - now).toBeLessThanOrEqual(limits.maxCoolDownMs);
    now = state.openUntil;
  }
});

test("answers to requests from before the opening change nothing", () => {
  const open = after(CLOSED, 0, "failure", "failure", "failure");
  expect(after(open, 10, "success")).toEqual(open);
  expect(after(open, 10, "failure").openUntil).toBe(open.openUntil);
});

test("throttling pauses for as long as asked, then one request asks again; it is no failure", () => {
  const paused = after(CLOSED, 100, "failure", "failure", { throttledForMs: 5_000 });
  expect(paused).toMatchObject({ state: "closed", failures: 2, pausedUntil: 5_100 });
  expect(admission(paused, 5_099)).toEqual({ slots: 0, until: 5_100 });
  expect(admission(paused, 5_100).slots).toBe(1);
  expect(admission(after(paused, 5_200, "success"), 5_200).slots).toBe(Number.POSITIVE_INFINITY);
  expect(admission(after(paused, 200, "success"), 200)).toEqual({ slots: 0, until: 5_100 });
});

test("throttling without a wish backs off by itself", () => {
  const once = after(CLOSED, 0, { throttledForMs: undefined });
  const twice = after(once, 0, { throttledForMs: undefined });
  expect(twice.pausedUntil).toBe(2 * once.pausedUntil);
  expect(once.pausedUntil).toBeGreaterThan(0);
});
