import { sliceLines } from "../../shared/ndjson.ts";
import { appendRun, expandRuns, sliceRuns } from "../../shared/runs.ts";
import { bytesOf, ChunkWalk, type OpenChunk, type Segment } from "./chunk-walk.ts";
import { type Cut, type CutLimits, cutOf, type EventQueue, type Next } from "./event-queue.ts";
import type { Chunk, OutboxStore, Range } from "./outbox-store.ts";
import { isShapedLine } from "./shaped-event.ts";

/**
 * Cuts requests out of the chunks in their one order, across their borders and never ahead of what is asked for: in memory are the
 * chunk at the cursor, a few that have just come in and what is under way, whatever the backlog.
 */
export class FreshQueue implements EventQueue {
  readonly #walk: ChunkWalk;
  readonly #salt: string;
  /** What waits, under way or not. */
  readonly #held: () => { count: number; bytes: number };
  #open: OpenChunk | null = null;
  claimed = { count: 0, bytes: 0 };

  constructor(store: OutboxStore, salt: string, held: () => { count: number; bytes: number }) {
    this.#walk = new ChunkWalk(store);
    this.#salt = salt;
    this.#held = held;
  }

  offer(chunk: Chunk): void {
    this.#walk.offer(chunk);
  }

  oldestAt(): number | null {
    if (this.#open !== null && this.#open.free.length > 0) return this.#open.acceptedAt;
    return this.#walk.nextAt();
  }

  next(limits: CutLimits): Next {
    const held = this.#held();
    const [count, bytes] = [held.count - this.claimed.count, held.bytes - this.claimed.bytes];
    if (count === 0) return { count, bytes, oldestAt: null, alone: false };
    return { count, bytes, oldestAt: this.oldestAt(), alone: limits.shapedAlone === true && this.#nextIsShaped() };
  }

  cut(limits: CutLimits, before = Number.POSITIVE_INFINITY): Cut | null {
    const taken: Taken = { segments: [], parts: [], tokens: [], count: 0, bytes: 0, acceptedAt: 0, closed: false };
    while (taken.count < limits.maxEvents && !taken.closed) {
      const chunk = this.#current();
      if (chunk === null || chunk.acceptedAt > before) break;
      if (taken.count === 0) taken.acceptedAt = chunk.acceptedAt;
      if (!take(chunk, limits, taken)) break;
    }
    if (taken.count === 0) return null;
    this.claimed.count += taken.count;
    this.claimed.bytes += taken.bytes;
    const { segments, count, bytes, acceptedAt, parts } = taken;
    return cutOf(this.#salt, parts, { segments, count, bytes, acceptedAt, tokens: expandRuns(taken.tokens) });
  }

  settle(cut: Cut): void {
    this.claimed.count -= cut.count;
    this.claimed.bytes -= cut.bytes;
    this.#walk.settle(cut.segments);
  }

  /** Whether the next event is one that the destination's script shaped. */
  #nextIsShaped(): boolean {
    const chunk = this.#current();
    return chunk !== null && isShaped(chunk, (chunk.free[0] as Range)[0]);
  }

  /** The chunk at the cursor that still has free lines. */
  #current(): OpenChunk | null {
    if (this.#open === null || this.#open.free.length === 0) this.#open = this.#walk.open();
    return this.#open;
  }
}

interface Taken {
  segments: Segment[];
  parts: Uint8Array[];
  tokens: [string, number][];
  count: number;
  bytes: number;
  acceptedAt: number;
  /** Nothing may be added. */
  closed: boolean;
}

/** Takes lines of the chunk's first free range; false where the next one does not fit. */
function take(chunk: OpenChunk, limits: CutLimits, taken: Taken): boolean {
  const [from, end] = chunk.free[0] as Range;
  let most = Math.min(end, from + limits.maxEvents - taken.count);
  if (limits.shapedAlone === true) {
    const shaped = firstShaped(chunk, from, most);
    if (shaped > from) most = shaped;
    else if (taken.count > 0) return false;
    else most = from + 1;
    taken.closed = shaped === from;
  }
  let to = from;
  // An event larger than a request may be goes alone: the destination has the last word.
  while (
    to < most &&
    (taken.bytes + bytesOf(chunk.starts, from, to + 1) <= limits.maxBytes || (taken.count === 0 && to === from))
  ) {
    to++;
  }
  if (to === from) return false;
  if (to === end) chunk.free.shift();
  else chunk.free[0] = [to, end];
  const bytes = bytesOf(chunk.starts, from, to);
  taken.segments.push({ chunk: chunk.id, from, to, bytes });
  taken.parts.push(sliceLines(chunk.events, chunk.starts, from, to));
  for (const [token, count] of sliceRuns(chunk.tokens, from, to)) appendRun(taken.tokens, token, count);
  taken.count += to - from;
  taken.bytes += bytes;
  return true;
}

/** The first shaped one of the lines [from, to); `to` where there is none. */
function firstShaped(chunk: OpenChunk, from: number, to: number): number {
  for (let line = from; line < to; line++) if (isShaped(chunk, line)) return line;
  return to;
}

function isShaped({ events, starts }: OpenChunk, line: number): boolean {
  return isShapedLine(events, starts[line] as number, (starts[line + 1] as number) - 1);
}
