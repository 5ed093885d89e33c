import { type Migration, migrate } from "../../shared/migrate.ts";
import { REPLAYS_TABLE } from "../../shared/replay-store.ts";
import type { Runs } from "../../shared/runs.ts";
import { firstRow, type Sql, type SqlValue } from "../../shared/sql.ts";

/**
 * The outbox's tables and every statement on them. Columns that are asked for alone stand before the BLOB, so that SQLite does not
 * walk the BLOB's pages to reach them; what changes often stands in a table of its own for the same reason.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    id: "0001-outbox",
    statements: [
      // Events that have not been tried. AUTOINCREMENT: without it ids start again at 1 once the table is empty.
      `CREATE TABLE chunks (
         id INTEGER PRIMARY KEY AUTOINCREMENT, accepted_at INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
         tokens TEXT NOT NULL, events BLOB NOT NULL)`,
      // Which lines of a chunk are settled, where that is some but not all.
      "CREATE TABLE progress (chunk INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL, done TEXT NOT NULL)",
      // Requests that failed, or what is left of them.
      `CREATE TABLE retries (
         id INTEGER PRIMARY KEY AUTOINCREMENT, next_at INTEGER NOT NULL, accepted_at INTEGER NOT NULL, attempt INTEGER NOT NULL,
         count INTEGER NOT NULL, bytes INTEGER NOT NULL, request_id TEXT NOT NULL, reason TEXT NOT NULL, status INTEGER,
         response TEXT, tokens TEXT NOT NULL, events BLOB NOT NULL)`,
      "CREATE INDEX retries_due ON retries (next_at)",
      "CREATE INDEX retries_age ON retries (accepted_at)",
      `CREATE TABLE dead_letters (
         id INTEGER PRIMARY KEY AUTOINCREMENT, died_at INTEGER NOT NULL, bytes INTEGER NOT NULL, uuid TEXT NOT NULL,
         event TEXT NOT NULL, distinct_id TEXT NOT NULL, token TEXT NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,
         status INTEGER, response TEXT, body BLOB)`,
      "CREATE TABLE lanes (lane TEXT PRIMARY KEY, through INTEGER NOT NULL) WITHOUT ROWID",
      `CREATE TABLE book (
         id INTEGER PRIMARY KEY CHECK (id = 1), accepted INTEGER NOT NULL, emitted INTEGER NOT NULL, delivered INTEGER NOT NULL,
         filtered INTEGER NOT NULL, dropped INTEGER NOT NULL, expired INTEGER NOT NULL, attempts INTEGER NOT NULL)`,
      "INSERT INTO book VALUES (1, 0, 0, 0, 0, 0, 0, 0)",
      "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ],
  },
  {
    id: "0002-unshaped",
    // Dead letters that the destination's script failed on. Few; a column would stand behind the body.
    statements: ["CREATE TABLE unshaped (id INTEGER PRIMARY KEY)"],
  },
  {
    id: "0003-replays",
    statements: [
      "ALTER TABLE book ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE book ADD COLUMN discarded INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE book ADD COLUMN moved INTEGER NOT NULL DEFAULT 0",
      REPLAYS_TABLE,
      // What the team is still to be told. Numbered for good: that number is what it is known by where it goes.
      "CREATE TABLE notices (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)",
    ],
  },
  {
    id: "0004-retry-parts",
    // The events of a request that is larger than a row may be.
    statements: [
      "CREATE TABLE retry_parts (retry INTEGER NOT NULL, part INTEGER NOT NULL, events BLOB NOT NULL, PRIMARY KEY (retry, part))",
    ],
  },
];

/** Of a request's events in one row: with what else stands there, below the 2 MB that a row may have. */
const PART_BYTES = 1_000_000;

/** Of one read; more than a request usually needs. */
const MAX_READ_ROWS = 200;

/** Counted as they happen; kept in the book. */
export interface Totals {
  accepted: number;
  emitted: number;
  delivered: number;
  filtered: number;
  dropped: number;
  expired: number;
  attempts: number;
  replayed: number;
  discarded: number;
  moved: number;
}

/** What the rows hold, in events unless named otherwise. */
export interface Held {
  fresh: number;
  freshBytes: number;
  retrying: number;
  retryBytes: number;
  retryRows: number;
  dead: number;
  deadBytes: number;
}

export interface Chunk {
  id: number;
  acceptedAt: number;
  count: number;
  bytes: number;
  tokens: Runs<string>;
  events: Uint8Array;
}

/** Lines [from, to). */
export type Range = [from: number, to: number];

export interface LastAnswer {
  reason: string;
  status: number | null;
  response: string | null;
}

export interface RetryHead {
  id: number;
  nextAt: number;
  acceptedAt: number;
}

export interface Retry extends RetryHead, LastAnswer {
  /** Failed tries so far. */
  attempt: number;
  count: number;
  bytes: number;
  requestId: string;
  tokens: Runs<string>;
  events: Uint8Array;
}

export class OutboxStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
    migrate(sql, MIGRATIONS);
  }

  transaction<T>(body: () => T): T {
    return this.#sql.transaction(body);
  }

  totals(): Totals {
    const columns = "accepted, emitted, delivered, filtered, dropped, expired, attempts, replayed, discarded, moved";
    return { ...(this.#one<Record<keyof Totals, number>>(`SELECT ${columns} FROM book`) as Totals) };
  }

  addTotals(t: Totals): void {
    this.#sql.run(
      `UPDATE book SET accepted = accepted + ?, emitted = emitted + ?, delivered = delivered + ?, filtered = filtered + ?,
         dropped = dropped + ?, expired = expired + ?, attempts = attempts + ?, replayed = replayed + ?,
         discarded = discarded + ?, moved = moved + ?`,
      ...[t.accepted, t.emitted, t.delivered, t.filtered, t.dropped, t.expired, t.attempts],
      ...[t.replayed, t.discarded, t.moved],
    );
  }

  /** Counts the rows: for a start, and for checking what is kept in memory. */
  held(): Held {
    const sum = (columns: string, table: string) =>
      this.#one<{ rows: number; count: number; bytes: number }>(
        `SELECT COUNT(*) AS rows, ${columns}, COALESCE(SUM(bytes), 0) AS bytes FROM ${table}`,
      ) as { rows: number; count: number; bytes: number };
    const chunks = sum("COALESCE(SUM(count), 0) AS count", "chunks");
    const done = sum("COALESCE(SUM(count), 0) AS count", "progress");
    const retries = sum("COALESCE(SUM(count), 0) AS count", "retries");
    const dead = sum("COUNT(*) AS count", "dead_letters");
    return {
      fresh: chunks.count - done.count,
      freshBytes: chunks.bytes - done.bytes,
      retrying: retries.count,
      retryBytes: retries.bytes,
      retryRows: retries.rows,
      dead: dead.count,
      deadBytes: dead.bytes,
    };
  }

  through(lane: string): number | null {
    return this.#one<{ through: number }>("SELECT through FROM lanes WHERE lane = ?", lane)?.through ?? null;
  }

  setThrough(lane: string, through: number): void {
    this.#sql.run(
      "INSERT INTO lanes VALUES (?, ?) ON CONFLICT (lane) DO UPDATE SET through = excluded.through",
      lane,
      through,
    );
  }

  lanes(): Record<string, number> {
    // Others than lanes append too, under names that begin with a sign of their own.
    const statement = "SELECT lane, through FROM lanes WHERE lane NOT LIKE '$%' ORDER BY lane";
    const rows = this.#sql.query<{ lane: string; through: number }>(statement);
    return Object.fromEntries([...rows].map(({ lane, through }) => [lane, through]));
  }

  state(key: string): string | null {
    return this.#one<{ value: string }>("SELECT value FROM state WHERE key = ?", key)?.value ?? null;
  }

  /** Null forgets the key. */
  setState(key: string, value: string | null): void {
    if (value === null) this.#sql.run("DELETE FROM state WHERE key = ?", key);
    else
      this.#sql.run(
        "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        key,
        value,
      );
  }

  insertNotice(body: string): void {
    this.#sql.run("INSERT INTO notices (body) VALUES (?)", body);
  }

  /** The oldest first. */
  notices(limit: number): { id: number; body: string }[] {
    return [...this.#sql.query<{ id: number; body: string }>("SELECT * FROM notices ORDER BY id LIMIT ?", limit)];
  }

  deleteNotices(through: number): void {
    this.#sql.run("DELETE FROM notices WHERE id <= ?", through);
  }

  /** Its id. */
  insertChunk(chunk: Omit<Chunk, "id">): number {
    const row = this.#one<{ id: number }>(
      "INSERT INTO chunks (accepted_at, count, bytes, tokens, events) VALUES (?, ?, ?, ?, ?) RETURNING id",
      ...[chunk.acceptedAt, chunk.count, chunk.bytes, JSON.stringify(chunk.tokens), chunk.events],
    );
    return (row as { id: number }).id;
  }

  /**
   * The first chunks behind `id`: one, or as many small ones as weigh `maxBytes` together. Which ones is asked first: a query that is
   * not read to its end keeps its row, up to a megabyte, until the garbage collector finds it.
   */
  chunksAfter(id: number, maxBytes: number): Chunk[] {
    const sizes = "SELECT id, bytes FROM chunks WHERE id > ? ORDER BY id LIMIT ?";
    let heads = [...this.#sql.query<{ id: number; bytes: number }>(sizes, id, 1)];
    if (heads[0] === undefined) return [];
    if (heads[0].bytes < maxBytes)
      heads = [...this.#sql.query<{ id: number; bytes: number }>(sizes, id, MAX_READ_ROWS)];
    let [last, total] = [0, 0];
    for (const head of heads) {
      last = head.id;
      total += head.bytes;
      if (total >= maxBytes) break;
    }
    const rows = this.#sql.query<ChunkRow>(
      "SELECT id, accepted_at, count, bytes, tokens, events FROM chunks WHERE id > ? AND id <= ? ORDER BY id",
      ...[id, last],
    );
    return [...rows].map(({ id: chunk, accepted_at: acceptedAt, count, bytes, tokens, events }) => {
      return { id: chunk, acceptedAt, count, bytes, tokens: JSON.parse(tokens), events: blob(events) };
    });
  }

  /** When the first chunk behind `id` was accepted. */
  acceptedAfter(id: number): number | null {
    const statement = "SELECT accepted_at FROM chunks WHERE id > ? ORDER BY id LIMIT 1";
    return this.#one<{ accepted_at: number }>(statement, id)?.accepted_at ?? null;
  }

  deleteChunks(from: number, to: number): void {
    this.#sql.run("DELETE FROM chunks WHERE id BETWEEN ? AND ?", from, to);
    this.#sql.run("DELETE FROM progress WHERE chunk BETWEEN ? AND ?", from, to);
  }

  /** Chunks that are settled in part. */
  partlySettled(): number[] {
    return [...this.#sql.query<{ chunk: number }>("SELECT chunk FROM progress")].map(({ chunk }) => chunk);
  }

  progress(chunk: number): Range[] {
    const row = this.#one<{ done: string }>("SELECT done FROM progress WHERE chunk = ?", chunk);
    return row === undefined ? [] : JSON.parse(row.done);
  }

  setProgress(chunk: number, count: number, bytes: number, done: readonly Range[]): void {
    this.#sql.run(
      `INSERT INTO progress VALUES (?, ?, ?, ?)
       ON CONFLICT (chunk) DO UPDATE SET count = excluded.count, bytes = excluded.bytes, done = excluded.done`,
      ...[chunk, count, bytes, JSON.stringify(done)],
    );
  }

  /** The first of them by `order`; `due`: the earliest next try, `age`: the oldest, `id`: the one that failed first. */
  retryHeads(order: "due" | "age" | "id", limit: number): RetryHead[] {
    const column = { due: "next_at", age: "accepted_at", id: "id" }[order];
    const rows = this.#sql.query<{ id: number; next_at: number; accepted_at: number }>(
      `SELECT id, next_at, accepted_at FROM retries ORDER BY ${column} LIMIT ?`,
      limit,
    );
    return [...rows].map((row) => ({ id: row.id, nextAt: row.next_at, acceptedAt: row.accepted_at }));
  }

  retry(id: number): Retry {
    const row = this.#one<RetryRow>("SELECT * FROM retries WHERE id = ?", id);
    if (row === undefined) throw new Error(`retry ${id} is not in the store`);
    const { attempt, count, bytes, reason, status, response } = row;
    return {
      ...{ id, nextAt: row.next_at, acceptedAt: row.accepted_at, requestId: row.request_id },
      ...{ attempt, count, bytes, reason, status, response },
      tokens: JSON.parse(row.tokens),
      events: row.events.byteLength > 0 ? blob(row.events) : this.#parts(id),
    };
  }

  /** Its id. */
  insertRetry(retry: Omit<Retry, "id">): number {
    const row = this.#one<{ id: number }>(
      `INSERT INTO retries (next_at, accepted_at, attempt, count, bytes, request_id, reason, status, response, tokens, events)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
      ...[retry.nextAt, retry.acceptedAt, retry.attempt, retry.count, retry.bytes, retry.requestId],
      ...[retry.reason, retry.status, retry.response, JSON.stringify(retry.tokens), inRow(retry.events)],
    );
    const { id } = row as { id: number };
    this.#writeParts(id, retry.events);
    return id;
  }

  #parts(retry: number): Uint8Array {
    const statement = "SELECT events FROM retry_parts WHERE retry = ? ORDER BY part";
    const parts = [...this.#sql.query<{ events: ArrayBuffer | Uint8Array }>(statement, retry)].map((row) =>
      blob(row.events),
    );
    const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #writeParts(retry: number, events: Uint8Array): void {
    if (events.length <= PART_BYTES) return;
    for (let part = 0; part * PART_BYTES < events.length; part++) {
      const bytes = events.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
      this.#sql.run("INSERT INTO retry_parts VALUES (?, ?, ?)", retry, part, bytes);
    }
  }

  /** All of it failed again. */
  postponeRetry(id: number, attempt: number, nextAt: number, last: LastAnswer): void {
    this.#sql.run(
      "UPDATE retries SET attempt = ?, next_at = ?, reason = ?, status = ?, response = ? WHERE id = ?",
      ...[attempt, nextAt, last.reason, last.status, last.response, id],
    );
  }

  /** Some of it failed again; it keeps its place. */
  shrinkRetry(id: number, part: Pick<Retry, "count" | "bytes" | "tokens" | "events">): void {
    this.#sql.run(
      "UPDATE retries SET count = ?, bytes = ?, tokens = ?, events = ? WHERE id = ?",
      ...[part.count, part.bytes, JSON.stringify(part.tokens), inRow(part.events), id],
    );
    this.#sql.run("DELETE FROM retry_parts WHERE retry = ?", id);
    this.#writeParts(id, part.events);
  }

  deleteRetry(id: number): void {
    this.#sql.run("DELETE FROM retries WHERE id = ?", id);
    this.#sql.run("DELETE FROM retry_parts WHERE retry = ?", id);
  }

  #one<Row extends Record<string, SqlValue>>(statement: string, ...values: SqlValue[]): Row | undefined {
    return firstRow(this.#sql.query<Row>(statement, ...values));
  }
}

interface ChunkRow extends Record<string, SqlValue> {
  id: number;
  accepted_at: number;
  count: number;
  bytes: number;
  tokens: string;
  events: ArrayBuffer | Uint8Array;
}

interface RetryRow extends ChunkRow {
  next_at: number;
  attempt: number;
  request_id: string;
  reason: string;
  status: number | null;
  response: string | null;
}

/** Larger ones stand in `retry_parts`. */
function inRow(events: Uint8Array): Uint8Array {
  return events.length > PART_BYTES ? events.subarray(0, 0) : events;
}

/** Bytes of a BLOB column, whichever adapter read it. */
export function blob(value: ArrayBuffer | Uint8Array): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(value);
}
