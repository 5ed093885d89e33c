import type { DailyUsage, Refused } from "../../shared/lane-api.ts";
import { type Migration, migrate, scalar } from "../../shared/migrate.ts";
import { addRefused } from "../../shared/refused.ts";
import { REPLAYS_TABLE } from "../../shared/replay-store.ts";
import { firstRow, type Sql } from "../../shared/sql.ts";

/**
 * A lane's rows. One row an append (split at 1 MB), NDJSON, keyed by the seq of its first event. Seqs are dense and start at 1; the
 * next one follows from the last row and the cursor, so that an append writes one row and nothing else.
 * The row stays after the cursor has passed it: that is the replay window.
 */
const MIGRATIONS: readonly Migration[] = [
  {
    id: "2026-11-lane",
    statements: [
      // The key is given, never chosen by SQLite: a rowid starts again at 1 once the table is empty.
      // Small columns first: reading them does not touch the pages of the BLOB.
      `CREATE TABLE log (
        first_seq INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        accepted_at INTEGER NOT NULL,
        tokens TEXT NOT NULL,
        uuids BLOB NOT NULL,
        events BLOB NOT NULL
      )`,
      "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
      "CREATE TABLE names (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
      // Destinations that are behind the cursor: the last seq that their outbox has.
      "CREATE TABLE parked (destination TEXT PRIMARY KEY, through INTEGER NOT NULL) WITHOUT ROWID",
      `CREATE TABLE scripts (
        bundle TEXT NOT NULL,
        script TEXT NOT NULL,
        errors INTEGER NOT NULL DEFAULT 0,
        kills INTEGER NOT NULL DEFAULT 0,
        last_error TEXT,
        PRIMARY KEY (bundle, script)
      ) WITHOUT ROWID`,
    ],
  },
  {
    id: "2026-11-usage",
    // JSON by resource; of the newest day alone.
    statements: ["CREATE TABLE usage (day INTEGER PRIMARY KEY, counts TEXT NOT NULL)"],
  },
  {
    id: "2026-11-refused",
    statements: [
      `CREATE TABLE refused (
        source TEXT NOT NULL,
        reason TEXT NOT NULL,
        events INTEGER NOT NULL,
        PRIMARY KEY (source, reason)
      ) WITHOUT ROWID`,
    ],
  },
  {
    id: "2026-11-quarantine",
    statements: [
      // An id is never given twice: pages and selections of an operator name them.
      `CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        seq INTEGER NOT NULL UNIQUE,
        script TEXT NOT NULL,
        message TEXT NOT NULL,
        at INTEGER NOT NULL,
        token TEXT NOT NULL,
        event TEXT NOT NULL,
        distinct_id TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        body BLOB NOT NULL
      )`,
      // Seqs that destinations do not get as they are and that are not held: reason NULL where they get nothing of them.
      "CREATE TABLE withheld (seq INTEGER PRIMARY KEY, reason TEXT)",
      // JSON: what is counted of a script beyond its errors and kills.
      "ALTER TABLE scripts ADD COLUMN health TEXT",
      `CREATE TABLE script_failures (
        bundle TEXT NOT NULL,
        script TEXT NOT NULL,
        message TEXT NOT NULL,
        count INTEGER NOT NULL,
        stack TEXT NOT NULL,
        first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        sample TEXT NOT NULL,
        PRIMARY KEY (bundle, script, message)
      ) WITHOUT ROWID`,
    ],
  },
  { id: "2026-11-replays", statements: [REPLAYS_TABLE] },
];

export interface LogRow {
  firstSeq: number;
  count: number;
  acceptedAt: number;
  tokens: [string, number][];
  uuids: Uint8Array;
  events: Uint8Array;
}

export interface LogHead {
  firstSeq: number;
  count: number;
  bytes: number;
  acceptedAt: number;
}

/** Rows that one retention step removes at most: it runs between batches and must not hold them up. */
const DELETE_ROWS_COUNT = 64;

export class LaneStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
    migrate(sql, MIGRATIONS);
  }

  transaction<T>(body: () => T): T {
    return this.#sql.transaction(body);
  }

  insert(row: LogRow): void {
    this.#sql.run(
      "INSERT INTO log (first_seq, count, bytes, accepted_at, tokens, uuids, events) VALUES (?, ?, ?, ?, ?, ?, ?)",
      row.firstSeq,
      row.count,
      row.events.length,
      row.acceptedAt,
      JSON.stringify(row.tokens),
      row.uuids,
      row.events,
    );
  }

  /** Lazily, from the row that holds `seq` (or the first one after it). */
  *rowsFrom(seq: number): Iterable<LogRow> {
    const start = scalar(
      this.#sql,
      "SELECT first_seq FROM log WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1",
      seq,
    );
    const rows = this.#sql.query<{
      first_seq: number;
      count: number;
      accepted_at: number;
      tokens: string;
      uuids: ArrayBuffer;
      events: ArrayBuffer;
    }>(
      "SELECT first_seq, count, accepted_at, tokens, uuids, events FROM log WHERE first_seq >= ? ORDER BY first_seq",
      start,
    );
    for (const row of rows) {
      if (row.first_seq + row.count <= seq) continue;
      yield {
        firstSeq: row.first_seq,
        count: row.count,
        acceptedAt: row.accepted_at,
        tokens: JSON.parse(row.tokens) as [string, number][],
        uuids: bytesOf(row.uuids),
        events: bytesOf(row.events),
      };
    }
  }

  *eventsNewestFirst(): Iterable<Uint8Array> {
    for (const row of this.#sql.query<{ events: ArrayBuffer }>("SELECT events FROM log ORDER BY first_seq DESC")) {
      yield bytesOf(row.events);
    }
  }

  /** Null without a row. */
  firstSeq(): number | null {
    const statement = "SELECT first_seq FROM log ORDER BY first_seq LIMIT 1";
    return firstRow(this.#sql.query<{ first_seq: number }>(statement))?.first_seq ?? null;
  }

  /** Newest row first. */
  *uuidsNewestFirst(): Iterable<Uint8Array> {
    for (const row of this.#sql.query<{ uuids: ArrayBuffer }>("SELECT uuids FROM log ORDER BY first_seq DESC")) {
      yield bytesOf(row.uuids);
    }
  }

  /** The row that holds `seq`, or the first one after it. */
  headAt(seq: number): LogHead | null {
    const start = scalar(
      this.#sql,
      "SELECT first_seq FROM log WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1",
      seq,
    );
    const rows = this.#sql.query<{ first_seq: number; count: number; bytes: number; accepted_at: number }>(
      "SELECT first_seq, count, bytes, accepted_at FROM log WHERE first_seq >= ? ORDER BY first_seq LIMIT 2",
      start,
    );
    for (const row of rows) {
      if (row.first_seq + row.count > seq) return headOf(row);
    }
    return null;
  }

  /** The seq after the last one in the log; 1 if there is none. */
  endSeq(): number {
    const last = firstRow(
      this.#sql.query<{ first_seq: number; count: number }>(
        "SELECT first_seq, count FROM log ORDER BY first_seq DESC LIMIT 1",
      ),
    );
    return last === undefined ? 1 : last.first_seq + last.count;
  }

  /** Bytes of the rows that end at or after `seq`, and of all rows. */
  bytes(seq: number): { from: number; all: number } {
    return {
      from: scalar(this.#sql, "SELECT COALESCE(SUM(bytes), 0) FROM log WHERE first_seq + count > ?", seq),
      all: scalar(this.#sql, "SELECT COALESCE(SUM(bytes), 0) FROM log"),
    };
  }

  /** The oldest rows, as many as one retention step may remove. */
  oldest(): LogHead[] {
    const rows = this.#sql.query<{ first_seq: number; count: number; bytes: number; accepted_at: number }>(
      "SELECT first_seq, count, bytes, accepted_at FROM log ORDER BY first_seq LIMIT ?",
      DELETE_ROWS_COUNT,
    );
    return [...rows].map(headOf);
  }

  deleteThrough(firstSeq: number): void {
    this.#sql.run("DELETE FROM log WHERE first_seq <= ?", firstSeq);
  }

  number(key: "cursor" | "duplicates"): number {
    return scalar(this.#sql, "SELECT value FROM meta WHERE key = ?", key);
  }

  setNumber(key: "cursor" | "duplicates", value: number): void {
    this.#sql.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value);
  }

  /** What was accepted on a day, by resource. */
  usage(day: number): DailyUsage["counts"] {
    const row = firstRow(this.#sql.query<{ counts: string }>("SELECT counts FROM usage WHERE day = ?", day));
    return row === undefined ? {} : (JSON.parse(row.counts) as DailyUsage["counts"]);
  }

  /** Forgets earlier days. */
  setUsage(day: number, counts: DailyUsage["counts"]): void {
    this.#sql.run("DELETE FROM usage WHERE day < ?", day);
    this.#sql.run("INSERT OR REPLACE INTO usage (day, counts) VALUES (?, ?)", day, JSON.stringify(counts));
  }

  name(key: "lane" | "team"): string | null {
    return firstRow(this.#sql.query<{ value: string }>("SELECT value FROM names WHERE key = ?", key))?.value ?? null;
  }

  setName(key: "lane" | "team", value: string): void {
    this.#sql.run("INSERT OR REPLACE INTO names (key, value) VALUES (?, ?)", key, value);
  }

  refused(): Refused {
    const refused: Refused = {};
    const rows = this.#sql.query<{ source: string; reason: string; events: number }>("SELECT * FROM refused");
    for (const { source, reason, events } of rows) addRefused(refused, { [source]: { [reason]: events } });
    return refused;
  }

  countRefused(counts: Refused): void {
    for (const [source, reasons] of Object.entries(counts)) {
      for (const [reason, events] of Object.entries(reasons)) {
        this.#sql.run(
          `INSERT INTO refused (source, reason, events) VALUES (?, ?, ?)
           ON CONFLICT (source, reason) DO UPDATE SET events = events + excluded.events`,
          source,
          reason,
          events,
        );
      }
    }
  }

  parked(): Map<string, number> {
    const rows = this.#sql.query<{ destination: string; through: number }>("SELECT destination, through FROM parked");
    return new Map([...rows].map((row) => [row.destination, row.through]));
  }

  /** Null: it has caught up, or is gone. */
  setParked(destination: string, through: number | null): void {
    if (through === null) this.#sql.run("DELETE FROM parked WHERE destination = ?", destination);
    else this.#sql.run("INSERT OR REPLACE INTO parked (destination, through) VALUES (?, ?)", destination, through);
  }
}

function headOf(row: { first_seq: number; count: number; bytes: number; accepted_at: number }): LogHead {
  return { firstSeq: row.first_seq, count: row.count, bytes: row.bytes, acceptedAt: row.accepted_at };
}

function bytesOf(blob: ArrayBuffer | Uint8Array): Uint8Array {
  return blob instanceof Uint8Array ? blob : new Uint8Array(blob);
}
