import type { Random } from "../../shared/clock.ts";

/** When a failed request comes again. */
export interface RetryPolicy {
  /** Upper bound of the first wait; it doubles with every further failure. */
  base_ms: number;
  /** Upper bound of any wait that the destination did not ask for. */
  max_delay_ms: number;
  /** Counted from when the outbox took the event; older than that it becomes a dead letter. */
  max_age_ms: number;
}

/** A destination that asks for more than this is asked again all the same: it may have mistaken its units. */
export const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * Time of the next try after `attempt` failed ones. Exponential with full jitter, so that requests which failed together do not
 * come back together; never before the wait that the destination asked for.
 */
export function nextRetry(
  policy: RetryPolicy,
  attempt: number,
  afterMs: number | undefined,
  now: number,
  random: Random,
): number {
  const jittered = backoff(policy.base_ms, policy.max_delay_ms, attempt, random);
  const asked = Math.min(Math.max(0, afterMs ?? 0), MAX_RETRY_AFTER_MS);
  return now + Math.max(jittered, asked);
}

/** Full jitter: anywhere in [0, min(max, base · 2^(attempt − 1))]. */
export function backoff(baseMs: number, maxMs: number, attempt: number, random: Random): number {
  // 2^30 of anything is past every maximum; without the bound the power overflows into Infinity · 0.
  const exponent = Math.min(Math.max(0, attempt - 1), 30);
  return Math.round(random() * Math.min(maxMs, baseMs * 2 ** exponent));
}
