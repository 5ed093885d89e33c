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

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** The one form that v1 takes, to the letter; null for anything else, and for what a zone puts outside the years of four digits. */
export function parseRfc3339(text: string): number | null {
  const ms = RFC_3339.test(text) ? parseTimestamp(text) : null;
  return ms === null || ms < FIRST_MS || ms > LAST_MS ? null : ms;
}
