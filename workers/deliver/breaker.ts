import type { Random } from "../../shared/clock.ts";
import { MAX_RETRY_AFTER_MS } from "./retry.ts";

/**
 * Circuit breaker of one destination, as a pure reducer. It counts requests, not events: what failed with no answer at all or with
 * an answer that says "my fault" (the outcome `retry`). An answer that refuses an event (dead) is a sign of life. A destination
 * that throttles is well: it pauses the sending and leaves the count alone.
 */
export interface BreakerState {
  readonly state: "closed" | "open" | "half-open";
  /** Failures in a row. */
  readonly failures: number;
  /** Cool-downs in a row. */
  readonly openings: number;
  /** End of the cool-down; means something while open. */
  readonly openUntil: number;
  /** Throttles in a row. */
  readonly throttles: number;
  readonly pausedUntil: number;
}

export interface BreakerLimits {
  /** This many failures in a row open it. */
  failures: number;
  minCoolDownMs: number;
  maxCoolDownMs: number;
}

export const DEFAULT_BREAKER_LIMITS: BreakerLimits = {
  // More than the usual concurrency, so that one lost connection shared by the requests under way does not open it.
  failures: 5,
  minCoolDownMs: 1_000,
  // A destination that comes back waits at most this long for the next probe.
  maxCoolDownMs: 60_000,
};

export const CLOSED: BreakerState = {
  state: "closed",
  failures: 0,
  openings: 0,
  openUntil: 0,
  throttles: 0,
  pausedUntil: 0,
};

export type BreakerSignal = "success" | "failure" | { throttledForMs: number | undefined };

/** What may be under way at `now`, and where that is nothing: until when. */
export type Admission = { slots: number; until: null } | { slots: 0; until: number };

/** The state at `now`: an open breaker whose cool-down is over is half-open. */
export function breakerAt(state: BreakerState, now: number): BreakerState {
  return state.state === "open" && now >= state.openUntil ? { ...state, state: "half-open" } : state;
}

export function admission(state: BreakerState, now: number): Admission {
  const current = breakerAt(state, now);
  if (current.state === "open") return { slots: 0, until: Math.max(current.openUntil, current.pausedUntil) };
  if (now < current.pausedUntil) return { slots: 0, until: current.pausedUntil };
  // Whoever asked for patience is asked by one request whether it has had enough.
  const isProbe = current.state === "half-open" || current.throttles > 0;
  return { slots: isProbe ? 1 : Number.POSITIVE_INFINITY, until: null };
}

export function breakerAfter(
  state: BreakerState,
  signal: BreakerSignal,
  now: number,
  random: Random,
  limits = DEFAULT_BREAKER_LIMITS,
): BreakerState {
  if (signal === "success") return afterSuccess(breakerAt(state, now), now);
  if (signal === "failure") return afterFailure(breakerAt(state, now), now, random, limits);
  const throttles = state.throttles + 1;
  const own = coolDown(throttles, random, limits);
  const pausedUntil = now + Math.min(signal.throttledForMs ?? own, MAX_RETRY_AFTER_MS);
  // It answered: whatever the breaker was waiting for has happened.
  return { ...CLOSED, failures: state.failures, throttles, pausedUntil: Math.max(pausedUntil, state.pausedUntil) };
}

function afterSuccess(state: BreakerState, now: number): BreakerState {
  // A request from before the opening or the throttling does not cut either short.
  if (state.state === "open") return state;
  if (now < state.pausedUntil) return { ...CLOSED, throttles: state.throttles, pausedUntil: state.pausedUntil };
  return CLOSED;
}

function afterFailure(state: BreakerState, now: number, random: Random, limits: BreakerLimits): BreakerState {
  const failures = state.failures + 1;
  // Requests that were under way when it opened say nothing new.
  if (state.state === "open") return { ...state, failures };
  if (state.state === "closed" && failures < limits.failures) return { ...state, failures };
  const openings = state.openings + 1;
  return { ...state, state: "open", failures, openings, openUntil: now + coolDown(openings, random, limits) };
}

/** Half fixed, half jitter: never so short that an open breaker means nothing. */
function coolDown(times: number, random: Random, limits: BreakerLimits): number {
  const full = Math.min(limits.maxCoolDownMs, limits.minCoolDownMs * 2 ** Math.min(times, 30));
  return Math.round(Math.max(limits.minCoolDownMs, full * (0.5 + random() / 2)));
}
