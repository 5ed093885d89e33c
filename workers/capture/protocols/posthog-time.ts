import { formatTimestamp, HOUR_MS, parseTimestamp } from "../../../shared/timestamp.ts";

/** The instant that an event of the future may still have: a clock's wrong zone, not a wrong year. */
const FUTURE_MS = 23 * HOUR_MS;
/** Years that four digits can write. */
const FIRST_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");
const EPOCH = "1970-01-01T00:00:00.000Z";

/** What an event's client says about time. */
export interface ClientTime {
  /** As sent; undefined where absent. */
  timestamp: string | undefined;
  /** How long before the request the event happened; undefined where absent. */
  offsetMs: number | undefined;
  /** When the client says that it sent the request; null where it does not, or does not want it used. */
  sentAtMs: number | null;
}

/** PostHog's v0 formula: the client's clock is corrected by how far its sending time is off; an offset overrides its clock. */
export function eventTimestamp(time: ClientTime, nowMs: number): string {
  const parsed = time.timestamp === undefined ? null : parseTimestamp(time.timestamp);
  let instant = parsed ?? nowMs;
  if (parsed !== null && time.sentAtMs !== null) instant -= time.sentAtMs - nowMs;
  if (time.offsetMs !== undefined) instant = nowMs - time.offsetMs;
  if (instant - nowMs > FUTURE_MS) instant = nowMs;
  if (instant < FIRST_MS || instant > LAST_MS) return EPOCH;
  return formatTimestamp(instant);
}
