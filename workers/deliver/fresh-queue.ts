import { concatLines, lineStarts, sliceLines } from "../../shared/ndjson.ts";
import { appendRun, expandRuns, type Runs, sliceRuns } from "../../shared/runs.ts";
import type { Chunk, OutboxStore, Range } from "./outbox-store.ts";
import { isShapedLine } from "./shaped-event.ts";

/** Read at once where chunks are small: enough that they cost no query each, little beside one large chunk. */
const READ_BYTES = 128_000;

/** Chunks in memory at most that nobody has asked for yet. */
const OFFERED_BYTES = 4_000_000;

/**
 * Walks the chunks in order and cuts requests out of them, across their borders and never ahead of what is asked for: in memory are
 * the chunk at the cursor, a few that have just come in and what is under way, whatever the backlog. The cursor is not stored. After a restart the walk starts at
 * the first chunk and steps over the lines that are settled.
 */
export class FreshQueue {
  readonly #store: OutboxStore;
  readonly #salt: string;
  #open: OpenChunk | null = null;
  /** Small chunks that were read together with the one at the cursor; oldest last. */
  #read: Chunk[] = [];
  #readBytes = 0;
  /** Whether every stored chunk behind the cursor is in `#read`. */
  #atEnd = false;
  /** What a restart found settled in part: few, bounded by what was under way then. */
  readonly #partlySettled: Set<number>;
  /** The last chunk that has been opened. */
  #at = 0;
  /** Chunks with lines under way. */
  readonly #claims = new Map<number, Claim>();
  /** Events under way, and their bytes. */
  claimed = { count: 0, bytes: 0 };

  /** `salt` tells the requests of this outbox from those of all others. */
  constructor(store: OutboxStore, salt: string) {
    this.#store = store;
    this.#salt = salt;
    this.#partlySettled = new Set(store.partlySettled());
  }

  /**
   * Takes a chunk that has just been stored: while the walk keeps up, what comes in is never read back. Beyond a bound it is: the
   * store has it.
   */
  offer(chunk: Chunk): void {
    if (!this.#atEnd) return;
    if (this.#readBytes + chunk.bytes > OFFERED_BYTES && this.#read.length > 0) {
      this.#atEnd = false;
      return;
    }
    this.#read.unshift(chunk);
    this.#readBytes += chunk.bytes;
  }

  /** When the first event that is not under way was accepted; null without one. */
  oldestAt(): number | null {
    if (this.#open !== null && this.#open.free.length > 0) return this.#open.acceptedAt;
    return this.#read.at(-1)?.acceptedAt ?? (this.#atEnd ? null : this.#store.acceptedAfter(this.#at));
  }

  /** Whether the next event is one that the destination's script shaped. */
  nextIsShaped(): boolean {
    const chunk = this.#current();
    return chunk !== null && isShaped(chunk, (chunk.free[0] as Range)[0]);
  }

  /** The next events, as many as the limits allow and at least one; null where there are none from `before` or earlier. */
  cut(limits: CutLimits, before = Number.POSITIVE_INFINITY): Cut | null {
    const taken: Taken = { segments: [], parts: [], tokens: [], count: 0, bytes: 0, acceptedAt: 0, closed: false };
    while (taken.count < limits.maxEvents && !taken.closed) {
      const chunk = this.#current();
      if (chunk === null || chunk.acceptedAt > before) break;
      if (taken.count === 0) taken.acceptedAt = chunk.acceptedAt;
      if (!take(chunk, limits, taken)) break;
    }
    const first = taken.segments[0];
    const last = taken.segments.at(-1);
    if (first === undefined || last === undefined) return null;
    this.#claim(taken);
    const { segments, count, bytes, acceptedAt } = taken;
    return {
      ...{ segments, count, bytes, acceptedAt },
      // The same events get the same id when a crash has them cut again.
      id: `${this.#salt}-${first.chunk}.${first.from}-${last.chunk}.${last.to}`,
      events: taken.parts.length === 1 ? (taken.parts[0] as Uint8Array) : concatLines(taken.parts),
      tokens: expandRuns(taken.tokens),
    };
  }

  /** Removes a cut's events for good. Writes only: call it inside the transaction that says where they went. */
  settle(cut: Cut): void {
    this.claimed.count -= cut.count;
    this.claimed.bytes -= cut.bytes;
    let run: Range | null = null;
    for (const segment of cut.segments) {
      const claim = this.#claims.get(segment.chunk) as Claim;
      claim.done = addRange(claim.done, [segment.from, segment.to]);
      claim.doneCount += segment.to - segment.from;
      claim.doneBytes += segment.bytes;
      if (claim.doneCount === claim.count) {
        this.#claims.delete(segment.chunk);
        // A cut's chunks are neighbours: whole ones in a row are one DELETE.
        run = [run?.[0] ?? segment.chunk, segment.chunk];
        continue;
      }
      this.#store.setProgress(segment.chunk, claim.doneCount, claim.doneBytes, claim.done);
      if (run !== null) this.#store.deleteChunks(...run);
      run = null;
    }
    if (run !== null) this.#store.deleteChunks(...run);
  }

  /** The chunk at the cursor that still has free lines. */
  #current(): OpenChunk | null {
    if (this.#open !== null && this.#open.free.length > 0) return this.#open;
    if (this.#read.length === 0 && !this.#atEnd) {
      this.#read = this.#store.chunksAfter(this.#at, READ_BYTES).reverse();
      this.#readBytes = this.#read.reduce((sum, { bytes }) => sum + bytes, 0);
      this.#atEnd = this.#read.length === 0;
    }
    const chunk = this.#read.pop();
    if (chunk === undefined) {
      this.#open = null;
      return null;
    }
    this.#readBytes -= chunk.bytes;
    const done = this.#partlySettled.delete(chunk.id) ? this.#store.progress(chunk.id) : [];
    const starts = lineStarts(chunk.events);
    this.#at = chunk.id;
    this.#open = { ...chunk, starts, free: freeRanges(done, chunk.count) };
    const doneCount = done.reduce((sum, [from, to]) => sum + to - from, 0);
    const doneBytes = done.reduce((sum, [from, to]) => sum + bytesOf(starts, from, to), 0);
    this.#claims.set(chunk.id, { count: chunk.count, done, doneCount, doneBytes });
    return this.#open;
  }

  #claim(taken: Taken): void {
    this.claimed.count += taken.count;
    this.claimed.bytes += taken.bytes;
  }
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

interface CutLimits {
  maxEvents: number;
  maxBytes: number;
  /** A shaped event is a cut of its own. */
  shapedAlone?: boolean;
}

interface Segment {
  chunk: number;
  from: number;
  to: number;
  bytes: number;
}

interface OpenChunk {
  id: number;
  acceptedAt: number;
  events: Uint8Array;
  tokens: Runs<string>;
  starts: number[];
  /** Neither settled nor under way, ascending. */
  free: Range[];
}

interface Claim {
  count: number;
  done: Range[];
  doneCount: number;
  doneBytes: number;
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

/** Of lines [from, to), a newline each. */
function bytesOf(starts: readonly number[], from: number, to: number): number {
  return (starts[to] as number) - (starts[from] as number);
}

function freeRanges(done: readonly Range[], count: number): Range[] {
  const free: Range[] = [];
  let at = 0;
  for (const [from, to] of done) {
    if (from > at) free.push([at, from]);
    at = to;
  }
  if (at < count) free.push([at, count]);
  return free;
}

/** Ascending ranges with one more; neighbours merge. */
export function addRange(ranges: readonly Range[], added: Range): Range[] {
  const merged: Range[] = [];
  for (const [from, to] of [...ranges, added].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && last[1] === from) last[1] = to;
    else merged.push([from, to]);
  }
  return merged;
}
