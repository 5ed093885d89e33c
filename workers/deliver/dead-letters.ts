import type { DeadLetterPage, DeadLetterQuery } from "../../shared/outbox-api.ts";
import type { DeadLetterStore, NewDeadLetter } from "./dead-letter-store.ts";

/** How much is kept of events that will not be tried again by themselves; beyond any of it the oldest go, counted as expired. */
export interface DeadLetterLimits {
  maxCount: number;
  maxBytes: number;
  maxAgeMs: number;
}

export const DEFAULT_DEAD_LETTER_LIMITS: DeadLetterLimits = {
  maxCount: 2_000_000,
  // With the largest backlog allowed (4 GiB) this stays under what a Durable Object may store (10 GB).
  maxBytes: 4 * 1024 ** 3,
  maxAgeMs: 30 * 24 * 3_600_000,
};

const DEFAULT_PAGE_COUNT = 100;
const MAX_PAGE_COUNT = 1_000;

/** An answer's page; larger ones would not pass between workers. */
export function deadLetterPage(store: DeadLetterStore, query: DeadLetterQuery): DeadLetterPage {
  const limit = Math.max(1, Math.min(query.limit ?? DEFAULT_PAGE_COUNT, MAX_PAGE_COUNT));
  const { page: letters, more } = store.page(query, query.after ?? 0, limit + 1);
  const page = letters.slice(0, limit);
  return {
    dead_letters: page,
    total: query.uncounted === true ? 0 : store.count(query),
    next: more || letters.length > limit ? (page.at(-1)?.id ?? null) : null,
  };
}

/** How many of the oldest have to go, in one bounded step. */
export function overLimit(
  oldest: readonly { diedAt: number; bytes: number }[],
  held: { dead: number; deadBytes: number },
  limits: DeadLetterLimits,
  now: number,
): number {
  let count = held.dead;
  let bytes = held.deadBytes;
  let over = 0;
  for (const letter of oldest) {
    const tooOld = letter.diedAt <= now - limits.maxAgeMs;
    if (!tooOld && count <= limits.maxCount && bytes <= limits.maxBytes) break;
    over++;
    count--;
    bytes -= letter.bytes;
  }
  return over;
}

/** Names the event of a line, as far as its script left names in it. */
export function namesOf(line: Uint8Array): Pick<NewDeadLetter, "uuid" | "event" | "distinctId"> {
  const value: unknown = JSON.parse(new TextDecoder().decode(line));
  const fields = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const text = (name: string) => (typeof fields[name] === "string" ? fields[name] : "");
  return { uuid: text("uuid"), event: text("event"), distinctId: text("distinct_id") };
}
