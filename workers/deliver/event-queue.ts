import { concatLines } from "../../shared/ndjson.ts";
import type { Segment } from "./chunk-walk.ts";
import type { Chunk } from "./outbox-store.ts";

/** The events of an outbox that have not been tried, as requests are cut out of them: in one order, or in one order per user. */
export interface EventQueue {
  /** Takes a chunk that has just been stored. */
  offer(chunk: Chunk): void;
  /** When the first event that is not under way was accepted; null without one. */
  oldestAt(): number | null;
  /** What a request could be cut from now; looks no further than one needs. */
  next(limits: CutLimits): Next;
  /** The next events, as many as the limits allow and at least one; null where there are none from `before` or earlier. */
  cut(limits: CutLimits, before?: number): Cut | null;
  /** Removes a cut's events for good. Writes only: call it inside the transaction that says where they went. */
  settle(cut: Cut): void;
  /** Events under way, and their bytes. */
  readonly claimed: { count: number; bytes: number };
}

export interface CutLimits {
  maxEvents: number;
  maxBytes: number;
  /** A shaped event is a cut of its own. */
  shapedAlone?: boolean;
}

export interface Next {
  count: number;
  bytes: number;
  /** When the oldest of them was accepted. */
  oldestAt: number | null;
  /** The first of them is a request by itself, however few they are. */
  alone: boolean;
}

/** Events under way, and where they came from. */
export interface Cut {
  id: string;
  segments: Segment[];
  /** NDJSON. */
  events: Uint8Array;
  count: number;
  /** With one newline each. */
  bytes: number;
  tokens: string[];
  /** Of the oldest. */
  acceptedAt: number;
}

/** The same events get the same id when a crash has them cut again; `salt` tells the requests of this outbox from all others. */
export function cutOf(salt: string, parts: readonly Uint8Array[], cut: Omit<Cut, "id" | "events">): Cut {
  const first = cut.segments[0] as Segment;
  const last = cut.segments.at(-1) as Segment;
  return {
    ...cut,
    id: `${salt}-${first.chunk}.${first.from}-${last.chunk}.${last.to}${between(cut.segments)}`,
    events: parts.length === 1 ? (parts[0] as Uint8Array) : concatLines(parts),
  };
}

/** Tells requests of the same first and last event apart that differ in between. */
function between(segments: readonly Segment[]): string {
  if (segments.length === 1) return "";
  let hash = FNV_OFFSET;
  for (const { chunk, from, to } of segments) {
    for (const value of [chunk, from, to]) hash = Math.imul(hash ^ value, FNV_PRIME);
  }
  return `.${(hash >>> 0).toString(16)}`;
}

/** FNV-1a's constants, over whole numbers. */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
