import { lineStarts } from "../../shared/ndjson.ts";
import type { Runs } from "../../shared/runs.ts";
import type { Chunk, OutboxStore, Range } from "./outbox-store.ts";

/** Read at once where chunks are small: enough that they cost no query each, little beside one large chunk. */
const READ_BYTES = 128_000;

/** Chunks in memory at most that nobody has asked for yet. */
const OFFERED_BYTES = 4_000_000;

/** A chunk at the cursor of a queue. */
export interface OpenChunk {
  id: number;
  acceptedAt: number;
  events: Uint8Array;
  tokens: Runs<string>;
  starts: number[];
  /** Neither settled nor under way, ascending. */
  free: Range[];
}

/** Lines of a chunk that go together. */
export interface Segment {
  chunk: number;
  from: number;
  to: number;
  bytes: number;
}

interface Claim {
  count: number;
  done: Range[];
  doneCount: number;
  doneBytes: number;
}

/**
 * Walks the stored chunks in order, each opened once, and keeps account of which lines of the open ones are settled. The position is
 * not stored: after a restart the walk starts at the first chunk and steps over the lines that are settled.
 */
export class ChunkWalk {
  readonly #store: OutboxStore;
  /** Small chunks that were read together; oldest last. */
  #read: Chunk[] = [];
  #readBytes = 0;
  /** Whether every stored chunk behind the last one opened is in `#read`. */
  #atEnd = false;
  /** What a restart found settled in part: few, bounded by what was under way then. */
  readonly #partlySettled: Set<number>;
  /** The last chunk that has been opened. */
  #at = 0;
  /** Chunks with lines that are opened and not settled. */
  readonly #claims = new Map<number, Claim>();

  constructor(store: OutboxStore) {
    this.#store = store;
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

  /** When the next chunk was accepted; null without one. */
  nextAt(): number | null {
    return this.#read.at(-1)?.acceptedAt ?? (this.#atEnd ? null : this.#store.acceptedAfter(this.#at));
  }

  /** Opens the next chunk; null where there is none. */
  open(): OpenChunk | null {
    if (this.#read.length === 0 && !this.#atEnd) {
      this.#read = this.#store.chunksAfter(this.#at, READ_BYTES).reverse();
      this.#readBytes = this.#read.reduce((sum, { bytes }) => sum + bytes, 0);
      this.#atEnd = this.#read.length === 0;
    }
    const chunk = this.#read.pop();
    if (chunk === undefined) return null;
    this.#readBytes -= chunk.bytes;
    const done = this.#partlySettled.delete(chunk.id) ? this.#store.progress(chunk.id) : [];
    const starts = lineStarts(chunk.events);
    this.#at = chunk.id;
    const doneCount = done.reduce((sum, [from, to]) => sum + to - from, 0);
    const doneBytes = done.reduce((sum, [from, to]) => sum + bytesOf(starts, from, to), 0);
    this.#claims.set(chunk.id, { count: chunk.count, done, doneCount, doneBytes });
    return { ...chunk, starts, free: freeRanges(done, chunk.count) };
  }

  /** Removes lines for good; segments ascend. Writes only: call it inside the transaction that says where they went. */
  settle(segments: readonly Segment[]): void {
    let run: Range | null = null;
    for (let i = 0; i < segments.length; ) {
      const { chunk } = segments[i] as Segment;
      const claim = this.#claims.get(chunk) as Claim;
      const added: Range[] = [];
      for (; segments[i]?.chunk === chunk; i++) {
        const { from, to, bytes } = segments[i] as Segment;
        added.push([from, to]);
        claim.doneCount += to - from;
        claim.doneBytes += bytes;
      }
      if (claim.doneCount === claim.count) {
        this.#claims.delete(chunk);
        // Whole neighbours in a row are one DELETE.
        if (run !== null && run[1] + 1 !== chunk) this.#store.deleteChunks(...run);
        run = run !== null && run[1] + 1 === chunk ? [run[0], chunk] : [chunk, chunk];
        continue;
      }
      claim.done = addRanges(claim.done, added);
      this.#store.setProgress(chunk, claim.doneCount, claim.doneBytes, claim.done);
    }
    if (run !== null) this.#store.deleteChunks(...run);
  }
}

/** Of lines [from, to), a newline each. */
export function bytesOf(starts: readonly number[], from: number, to: number): number {
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

/** Ascending ranges with more of them; neighbours merge. */
function addRanges(ranges: readonly Range[], added: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const [from, to] of [...ranges, ...added].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && last[1] === from) last[1] = to;
    else merged.push([from, to]);
  }
  return merged;
}
