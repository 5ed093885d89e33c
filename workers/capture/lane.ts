/**
 * A lane: one team's durable, ordered log of accepted events (one shard of it).
 *
 * Job: number events, drop those that it has seen, keep them until every destination has its share and for the replay window after
 * that, and say where the pump is. It does no I/O but its store's, and everything here is synchronous: one call is one transaction.
 *
 * Invariants (DESIGN section 3): 1 (an append returns only what the store took), 2 (the cursor and the parked destinations
 * move only through `advance`, and are on disk before a row behind them goes), 3 (rows are read in the order of their seqs), 7 (uuids are stored as they came).
 */
import type { Clock } from "../../shared/clock.ts";
import { AppError } from "../../shared/errors.ts";
import type { DailyResource, DailyUsage, LaneAppend, LaneAppended } from "../../shared/lane-api.ts";
import { concatLines, lineStarts, sliceLines } from "../../shared/ndjson.ts";
import { appendRun, expandRuns, sliceRuns } from "../../shared/runs.ts";
import { UUID_BYTES } from "../../shared/uuid.ts";
import { LaneRow } from "./lane-row.ts";
import type { LaneStore } from "./lane-store.ts";
import { LaneUsage } from "./lane-usage.ts";
import { RecentUuids } from "./recent-uuids.ts";

type Fresh = Pick<LaneAppend, "events" | "uuids" | "tokens">;

export interface LaneLimits {
  /** A row's events. Durable Objects take values of up to 2 MB; half of that leaves room for one event of 1 MB. */
  rowBytes: number;
  /** Events not yet through the scripts. Beyond it appends are refused: a third of an object's 10 GB stays free for retained rows. */
  backlogBytes: number;
  /** The replay window: how long a row stays once every destination has it. */
  retainMs: number;
  /** The replay window's size; the oldest rows go first. */
  retainBytes: number;
  /** Events that stay in memory for the pump. */
  tailBytes: number;
  /** How long the pump's positions may stay unwritten: what a crash makes it send to the outboxes again. */
  saveMs: number;
  /** Uuids in the dedupe window: 26 bytes of memory each. */
  dedupeCount: number;
}

export const DEFAULT_LANE_LIMITS: LaneLimits = {
  rowBytes: 1_000_000,
  backlogBytes: 3_000_000_000,
  retainMs: 24 * 60 * 60 * 1000,
  retainBytes: 1_000_000_000,
  tailBytes: 8_000_000,
  saveMs: 250,
  dedupeCount: 262_144,
};

/** Events (after, through] as the pump moves them. */
export interface LaneBatch {
  after: number;
  through: number;
  /** NDJSON, one line a seq. */
  events: Uint8Array;
  tokens: [string, number][];
}

/** The client is told to come back; nothing of the append was taken. */
export class LaneFullError extends AppError {
  constructor(backlogBytes: number) {
    super(
      "lane_full",
      503,
      `the team's backlog is full (${backlogBytes} bytes wait to be processed); the events were not accepted, send them again`,
      { retryAfterS: RETRY_AFTER_FULL_S },
    );
  }
}

/** Long enough for a pump that runs again to make room, short enough that SDKs which honour it lose no queue. */
const RETRY_AFTER_FULL_S = 10;

/** What reaches the disk along with the positions. */
export interface Companion {
  /** Runs inside their transaction. */
  write(): void;
  /** That transaction has ended well. */
  written(): void;
}

export class Lane {
  readonly #store: LaneStore;
  readonly #clock: Clock;
  readonly #limits: LaneLimits;
  readonly #recent: RecentUuids;
  readonly #usage: LaneUsage;
  #cursor: number;
  #endSeq: number;
  #backlogBytes: number;
  #allBytes: number;
  #duplicates: number;
  readonly #parked: Map<string, number>;
  /** Positions that are not on disk yet; null where a destination is no longer parked. */
  readonly #unsavedParked = new Map<string, number | null>();
  #savedCursor: number;
  #savedAt: number;
  #oldestChecked = 0;
  /** The newest rows, to the end of the log, as far as the cursor has not passed them: a pump that keeps up never reads the disk. */
  #tail: LaneRow[] = [];
  #tailBytes = 0;
  /** The row that was read last from the disk. Rows never change. */
  #keptRow: LaneRow | null = null;
  #companion: Companion | null = null;

  /** @param seed a random 32-bit number for the dedupe window's hash */
  constructor(store: LaneStore, clock: Clock, limits: LaneLimits, seed: number) {
    this.#store = store;
    this.#clock = clock;
    this.#limits = limits;
    this.#cursor = store.number("cursor");
    this.#savedCursor = this.#cursor;
    this.#savedAt = clock.now();
    // Rows are deleted only behind the cursor, so the greater of the two is always where the log ended.
    this.#endSeq = Math.max(store.endSeq(), this.#cursor + 1);
    const bytes = store.bytes(this.#cursor + 1);
    this.#backlogBytes = bytes.from;
    this.#allBytes = bytes.all;
    this.#duplicates = store.number("duplicates");
    this.#parked = store.parked();
    this.#recent = new RecentUuids(limits.dedupeCount, seed);
    this.#usage = new LaneUsage(store, clock);
    this.#rememberRetained();
  }

  get cursor(): number {
    return this.#cursor;
  }
  get nextSeq(): number {
    return this.#endSeq;
  }
  get backlog(): number {
    return this.#endSeq - 1 - this.#cursor;
  }
  get backlogBytes(): number {
    return this.#backlogBytes;
  }
  get duplicates(): number {
    return this.#duplicates;
  }
  /** What counts against the team's quota. */
  get usage(): DailyUsage {
    return this.#usage.today();
  }
  /** Last seq that each destination behind the cursor has. */
  get parked(): ReadonlyMap<string, number> {
    return this.#parked;
  }

  /** The lowest seq that may be read again: the log's first, or one that a destination has yet to be told of. */
  floor(): number {
    const first = this.#store.firstSeq() ?? this.#savedCursor + 1;
    return Math.min(first, this.#savedCursor + 1, ...[...this.#parked.values()].map((through) => through + 1));
  }

  accompany(companion: Companion): void {
    this.#companion = companion;
  }

  /** The first seq that came at `time` or later; `nextSeq` where there is none. Rows stand in the order of their times. */
  seqSince(time: number): number {
    let [low, high] = [this.#store.firstSeq() ?? this.#endSeq, this.#endSeq];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const head = this.#store.headAt(middle);
      if (head !== null && head.acceptedAt < time) low = head.firstSeq + head.count;
      else high = Math.min(middle, head?.firstSeq ?? middle);
    }
    return low;
  }

  /** Milliseconds since the epoch at which the oldest event of the backlog was accepted; null without one. */
  oldestAt(): number | null {
    return this.backlog === 0 ? null : (this.#store.headAt(this.#cursor + 1)?.acceptedAt ?? null);
  }

  /** @throws LaneFullError; whatever the store throws. Then nothing was taken. */
  append(append: LaneAppend): LaneAppended {
    const isEmpty = append.events.length === 0;
    if (!isEmpty && this.#backlogBytes + append.events.length > this.#limits.backlogBytes)
      throw new LaneFullError(this.#backlogBytes);
    const fresh = this.#withoutDuplicates(append);
    const count = fresh.uuids.length / UUID_BYTES;
    const duplicates = append.uuids.length / UUID_BYTES - count;
    const before = this.#extent();
    const usage = this.#usage.today();
    const isSaveDue = this.#isSaveDue();
    try {
      this.#store.transaction(() => {
        this.#insert(fresh, count);
        if (fresh.resources !== undefined && count > 0) this.#usage.add(fresh.resources);
        if (isSaveDue) this.#writePositions();
        if (duplicates > 0) this.#store.setNumber("duplicates", this.#duplicates + duplicates);
        if (append.refused !== undefined) this.#store.countRefused(append.refused);
      });
    } catch (error) {
      this.#recent.removeNewest(count);
      this.#usage.restore(usage);
      this.#undo(before);
      throw error;
    }
    if (isSaveDue) this.#positionsSaved();
    this.#duplicates += duplicates;
    this.#trimTail();
    return append.resources === undefined ? { duplicates } : { duplicates, usage: this.#usage.today() };
  }

  /**
   * Numbers events anew that it has had before, with `also` in the same transaction; their uuids are known and pass all the same.
   * @throws LaneFullError; whatever the store or `also` throws. Then nothing was taken.
   */
  takeBack(events: Fresh, also: () => void): void {
    if (this.#backlogBytes + events.events.length > this.#limits.backlogBytes)
      throw new LaneFullError(this.#backlogBytes);
    const before = this.#extent();
    try {
      this.#store.transaction(() => {
        this.#insert(events, events.uuids.length / UUID_BYTES);
        also();
      });
    } catch (error) {
      this.#undo(before);
      throw error;
    }
    this.#trimTail();
  }

  #extent() {
    return { endSeq: this.#endSeq, backlogBytes: this.#backlogBytes, allBytes: this.#allBytes };
  }

  /** Back to what was, after a transaction that failed. */
  #undo(before: { endSeq: number; backlogBytes: number; allBytes: number }): void {
    this.#endSeq = before.endSeq;
    this.#backlogBytes = before.backlogBytes;
    this.#allBytes = before.allBytes;
    // The rows that were taken back are read from nowhere.
    this.#tail = [];
    this.#tailBytes = 0;
  }

  /** The newest events, newest first, in rows as they were appended; lazily. */
  newest(): Iterable<Uint8Array> {
    return this.#store.eventsNewestFirst();
  }

  /** The next events after `after`, in order: at most `maxEvents`, and at most `maxBytes` unless one event alone is larger. Null: none. */
  read(after: number, until: number, maxEvents: number, maxBytes: number): LaneBatch | null {
    const parts: Uint8Array[] = [];
    const tokens: [string, number][] = [];
    let [first, through, bytes] = [0, 0, 0];
    for (const row of this.#rowsFrom(after + 1)) {
      // Behind a row that is kept in memory the log may have let go of others.
      if (row.firstSeq > until || (first !== 0 && row.firstSeq !== through + 1)) break;
      const from = Math.max(0, after + 1 - row.firstSeq);
      if (first === 0) [first, through] = [row.firstSeq + from, row.firstSeq + from - 1];
      const end = Math.min(row.count, until - row.firstSeq + 1, from + maxEvents - (through - first + 1));
      // An event that is larger than a batch is a batch of its own.
      const to = Math.max(row.fit(from, end, maxBytes - bytes), bytes === 0 ? from + 1 : from);
      if (to > from) {
        const part = row.lines(from, to);
        parts.push(part);
        bytes += part.length;
        for (const [token, count] of sliceRuns(row.tokens, from, to)) appendRun(tokens, token, count);
        through = row.firstSeq + to - 1;
      }
      if (to < row.count) break;
    }
    if (through < first || first === 0) return null;
    const [only] = parts;
    const events = parts.length === 1 && only !== undefined ? only : concatLines(parts);
    return { after: first - 1, through, events, tokens };
  }

  /**
   * The pump has passed `through`, `bytes` of events; `parked` says which destinations stay behind at which seq (null: no longer).
   *
   * The positions reach the disk a little later, all in one transaction: what a crash takes back is sent again, and the outboxes
   * know it by (lane, seq). That saves an fsync for every batch.
   */
  advance(through: number, bytes: number, parked: ReadonlyMap<string, number | null>): void {
    this.#cursor = Math.max(through, this.#cursor);
    for (const [destination, seq] of parked) {
      this.#unsavedParked.set(destination, seq);
      if (seq === null) this.#parked.delete(destination);
      else this.#parked.set(destination, seq);
    }
    this.#backlogBytes = this.backlog === 0 ? 0 : Math.max(0, this.#backlogBytes - bytes);
    this.#trimTail();
    if (this.#isSaveDue()) this.save();
  }

  /** Writes the positions if they have moved. */
  save(): void {
    if (this.#cursor === this.#savedCursor && this.#unsavedParked.size === 0) return;
    this.saveWith(() => {});
  }

  #trimTail(): void {
    for (let first = this.#tail[0]; first !== undefined; first = this.#tail[0]) {
      if (first.endSeq - 1 > this.#cursor && this.#tailBytes <= this.#limits.tailBytes) return;
      this.#tail.shift();
      this.#tailBytes -= first.bytes;
    }
  }

  #isSaveDue(): boolean {
    return this.#clock.now() - this.#savedAt >= this.#limits.saveMs;
  }

  /** Writes only: once the transaction around it has ended well, `#positionsSaved` says so. */
  #writePositions(): void {
    if (this.#cursor !== this.#savedCursor) this.#store.setNumber("cursor", this.#cursor);
    for (const [destination, seq] of this.#unsavedParked) this.#store.setParked(destination, seq);
    this.#companion?.write();
  }

  #positionsSaved(): void {
    this.#savedAt = this.#clock.now();
    this.#savedCursor = this.#cursor;
    this.#unsavedParked.clear();
    this.#companion?.written();
  }

  /**
   * Removes rows that the replay window no longer covers, a bounded number a call. Rows that the cursor has not passed always stay.
   * A parked destination loses its share of a removed row: the pump then reports it as expired.
   */
  retain(): void {
    const now = this.#clock.now();
    if (this.#allBytes <= this.#limits.retainBytes && now < this.#oldestChecked + this.#limits.saveMs) return;
    this.#oldestChecked = now;
    let last: number | null = null;
    let allBytes = this.#allBytes;
    for (const row of this.#store.oldest()) {
      if (row.firstSeq + row.count - 1 > this.#cursor) break;
      if (row.acceptedAt >= now - this.#limits.retainMs && allBytes <= this.#limits.retainBytes) break;
      last = row.firstSeq;
      allBytes -= row.bytes;
    }
    if (last === null) return;
    const through = last;
    // Where the log ends is known from its rows or from the cursor: no row may go before the cursor behind it is on disk.
    this.saveWith(() => this.#store.deleteThrough(through));
    this.#allBytes = allBytes;
  }

  /** Writes the positions, and what else, in one transaction. */
  saveWith(body: () => void): void {
    this.#store.transaction(() => {
      this.#writePositions();
      body();
    });
    this.#positionsSaved();
  }

  /** The row that holds `seq` (or the first one after it) and those behind it; a row that several batches share is read once. */
  *#rowsFrom(seq: number): Iterable<LaneRow> {
    if ((this.#tail[0]?.firstSeq ?? Number.POSITIVE_INFINITY) <= seq) {
      for (const row of this.#tail) if (row.endSeq > seq) yield row;
      return;
    }
    const kept = this.#keptRow;
    const isKept = kept !== null && kept.firstSeq <= seq && seq < kept.endSeq;
    if (isKept) yield kept;
    for (const stored of this.#store.rowsFrom(isKept ? kept.endSeq : seq)) {
      this.#keptRow = new LaneRow(stored);
      yield this.#keptRow;
    }
  }

  #insert(fresh: Fresh, count: number): void {
    const acceptedAt = this.#clock.now();
    if (count === 0) return;
    if (fresh.events.length <= this.#limits.rowBytes) {
      this.#insertRow(fresh, fresh.events, 0, count, acceptedAt);
      return;
    }
    const starts = lineStarts(fresh.events);
    for (let from = 0; from < count; ) {
      let to = from + 1;
      while (to < count && (starts[to + 1] as number) - (starts[from] as number) <= this.#limits.rowBytes) to++;
      this.#insertRow(fresh, sliceLines(fresh.events, starts, from, to), from, to, acceptedAt);
      from = to;
    }
  }

  #insertRow(fresh: Fresh, events: Uint8Array, from: number, to: number, acceptedAt: number): void {
    const row = {
      firstSeq: this.#endSeq,
      count: to - from,
      acceptedAt,
      tokens: sliceRuns(fresh.tokens, from, to),
      uuids: fresh.uuids.subarray(from * UUID_BYTES, to * UUID_BYTES),
      events,
    };
    this.#store.insert(row);
    this.#tail.push(new LaneRow(row));
    this.#tailBytes += events.length;
    this.#endSeq += to - from;
    this.#backlogBytes += events.length;
    this.#allBytes += events.length;
  }

  #withoutDuplicates(append: LaneAppend): LaneAppend {
    const count = append.uuids.length / UUID_BYTES;
    const known: boolean[] = [];
    let duplicates = 0;
    for (let i = 0; i < count; i++) {
      const isNew = this.#recent.add(append.uuids, i * UUID_BYTES);
      known.push(!isNew);
      if (!isNew) duplicates++;
    }
    if (duplicates === 0) return append;
    const starts = lineStarts(append.events);
    const each = expandRuns(append.tokens);
    const lines: Uint8Array[] = [];
    const tokens: [string, number][] = [];
    const uuids = new Uint8Array((count - duplicates) * UUID_BYTES);
    const eachResource = append.resources && expandRuns(append.resources);
    const resources: [DailyResource, number][] = [];
    for (let i = 0; i < count; i++) {
      if (known[i]) continue;
      uuids.set(append.uuids.subarray(i * UUID_BYTES, (i + 1) * UUID_BYTES), lines.length * UUID_BYTES);
      lines.push(sliceLines(append.events, starts, i, i + 1));
      appendRun(tokens, each[i] as string, 1);
      if (eachResource !== undefined) appendRun(resources, eachResource[i] as DailyResource, 1);
    }
    const rest = { lane: append.lane, events: concatLines(lines), uuids, tokens };
    return eachResource === undefined ? rest : { ...rest, resources };
  }

  #rememberRetained(): void {
    const rows: Uint8Array[] = [];
    let count = 0;
    for (const uuids of this.#store.uuidsNewestFirst()) {
      rows.push(uuids);
      count += uuids.length / UUID_BYTES;
      if (count >= this.#limits.dedupeCount) break;
    }
    for (const uuids of rows.reverse()) {
      for (let at = 0; at < uuids.length; at += UUID_BYTES) this.#recent.add(uuids, at);
    }
  }
}
