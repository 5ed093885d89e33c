/**
 * Dedupe across lanes. A lane knows its own uuids; a retry that comes to another one (another region, another number of lanes) is
 * known through Redis.
 *
 * Invariant 1 comes first: a uuid is noted only after its event is durable, never before, so what is dropped here is on disk. The price:
 * two tries under way at once, or a crash between the append and the note, leave a duplicate (decision 0009).
 */
import type { Event } from "../../shared/event.ts";
import type { RedisClient } from "./redis-client.ts";
import type { RedisLink } from "./redis-link.ts";

export interface DedupeDeps {
  redis: Pick<RedisClient, "existing" | "keep">;
  link: Pick<RedisLink, "ask">;
  /** How long a uuid is known, in seconds. */
  windowS: number;
  /** Of the current request. */
  waitUntil(promise: Promise<unknown>): void;
}

/** A retry of posthog-js, which gives up last, comes within this time. */
export const DEFAULT_WINDOW_S = 3_600;

/** 0: no dedupe. Throws, for the operator, for what is no number. */
export function dedupeWindowS(variable: string | undefined): number {
  if (variable === undefined) return DEFAULT_WINDOW_S;
  if (!/^\d{1,8}$/.test(variable))
    throw new Error(`DEDUPE_WINDOW_S is a number of seconds, 0 for none, not "${variable}"`);
  return Number(variable);
}

/**
 * Stores those events that are not known to be stored. Throws what `store` throws.
 * @param minted uuids that no client has chosen: they are new, and cannot come again
 * @returns the events that were known already
 */
export async function storeOnce(
  team: string,
  events: Event[],
  minted: ReadonlySet<string>,
  store: (events: Event[]) => Promise<void>,
  deps: DedupeDeps,
): Promise<Event[]> {
  const named = events.filter(({ uuid }) => !minted.has(uuid));
  if (named.length === 0) {
    await store(events);
    return [];
  }
  const keyOf = ({ uuid }: Event) => `headwater:seen:${team}:${uuid}`;
  const seen = await deps.link.ask(() => deps.redis.existing(named.map(keyOf)));
  const known = new Set(named.filter((_, index) => seen?.[index] === true));
  const fresh = known.size === 0 ? events : events.filter((event) => !known.has(event));
  if (fresh.length > 0) await store(fresh);
  const stored = named.filter((event) => !known.has(event));
  if (stored.length > 0) deps.waitUntil(deps.link.ask(() => deps.redis.keep(stored.map(keyOf), deps.windowS)));
  return [...known];
}
