import { lineStarts } from "../../shared/ndjson.ts";
import type { Sent } from "./destinations/destination.ts";

/** As capture writes an event: names without escapes, in this order. */
const LEADING = /^\{"uuid":"[^"\\]*","event":"[^"\\]*","distinct_id":"([^"\\]*)"/;
/** Holds the longest name and user that an SDK sends by far; a start that is cut off falls back to parsing. */
const LEADING_BYTES = 600;

const decoder = new TextDecoder();

/** The user of one line of NDJSON; empty where a script has taken it away. All such events are one user's. */
export function userOf(line: Uint8Array): string {
  const leading = LEADING.exec(decoder.decode(line.subarray(0, LEADING_BYTES)));
  if (leading !== null) return leading[1] as string;
  const value = JSON.parse(decoder.decode(line)) as { distinct_id?: unknown } | null;
  return typeof value?.distinct_id === "string" ? value.distinct_id : "";
}

/** Of NDJSON, one a line. */
export function usersOf(events: Uint8Array): string[] {
  const starts = lineStarts(events);
  const users: string[] = [];
  for (let i = 0; i + 1 < starts.length; i++) {
    users.push(userOf(events.subarray(starts[i], (starts[i + 1] as number) - 1)));
  }
  return users;
}

/** The users of a request that have nothing left in it: whose later events may go. */
export function usersDone(events: Uint8Array, { outcomes }: Sent): string[] {
  const users = usersOf(events);
  const waits = (i: number) => {
    const { result } = Array.isArray(outcomes) ? (outcomes[i] ?? { result: "retry" }) : outcomes;
    return result === "retry" || result === "disable";
  };
  const kept = new Set(users.filter((_, i) => waits(i)));
  return [...new Set(users)].filter((user) => !kept.has(user));
}
