import type { QuarantinedEvent, QuarantineSelection } from "../../shared/lane-api.ts";
import { scalar } from "../../shared/migrate.ts";
import type { Sql, SqlValue } from "../../shared/sql.ts";

/** Statements on `quarantine`, `withheld` and two counters, which lane-store.ts creates. */
export interface NewHeld {
  seq: number;
  script: string;
  message: string;
  /** Milliseconds since the epoch. */
  at: number;
  token: string;
  event: string;
  distinctId: string;
  /** The log's line. */
  body: Uint8Array;
}

export interface Held {
  id: number;
  seq: number;
  script: string;
  message: string;
  at: number;
  token: string;
  body: Uint8Array;
}

export class QuarantineStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  insert(held: NewHeld): void {
    this.#sql.run(
      `INSERT INTO quarantine (seq, script, message, at, token, event, distinct_id, bytes, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[held.seq, held.script, held.message, held.at, held.token, held.event, held.distinctId],
      ...[held.body.length, held.body],
    );
  }

  /** Remembers of a seq that is not held that no destination gets it, or (`reason`) each as a dead letter. */
  insertWithheld(seq: number, reason: string | null): void {
    this.#sql.run("INSERT OR REPLACE INTO withheld (seq, reason) VALUES (?, ?)", seq, reason);
  }

  totals(): { count: number; bytes: number } {
    return {
      count: scalar(this.#sql, "SELECT COUNT(*) FROM quarantine"),
      bytes: scalar(this.#sql, "SELECT COALESCE(SUM(bytes), 0) FROM quarantine"),
    };
  }

  counter(key: "released" | "discarded"): number {
    return scalar(this.#sql, "SELECT value FROM meta WHERE key = ?", key);
  }

  setCounter(key: "released" | "discarded", value: number): void {
    this.#sql.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value);
  }

  /** The greatest seq that is held or withheld; 0 without any. */
  lastSeq(): number {
    return Math.max(
      scalar(this.#sql, "SELECT MAX(seq) FROM quarantine"),
      scalar(this.#sql, "SELECT MAX(seq) FROM withheld"),
    );
  }

  /** Seqs of (after, through] that destinations do not get as they are: null where not at all, a text where as dead letters. */
  withheld(after: number, through: number): Map<number, string | null> {
    const rows = this.#sql.query<{ seq: number; reason: string | null }>(
      `SELECT seq, NULL AS reason FROM quarantine WHERE seq > ? AND seq <= ?
       UNION ALL SELECT seq, reason FROM withheld WHERE seq > ? AND seq <= ?`,
      ...[after, through, after, through],
    );
    return new Map([...rows].map(({ seq, reason }) => [seq, reason]));
  }

  /** How many of the seqs above `seq` no destination gets. */
  countLeftOut(seq: number): number {
    return (
      scalar(this.#sql, "SELECT COUNT(*) FROM quarantine WHERE seq > ?", seq) +
      scalar(this.#sql, "SELECT COUNT(*) FROM withheld WHERE seq > ? AND reason IS NULL", seq)
    );
  }

  /** Forgets what is below `seq`, of those that are not held. */
  prune(seq: number): void {
    this.#sql.run("DELETE FROM withheld WHERE seq < ?", seq);
  }

  count(selection: QuarantineSelection): number {
    const { where, values } = condition(selection);
    return scalar(this.#sql, `SELECT COUNT(*) FROM quarantine WHERE ${where}`, ...(values as (string | number)[]));
  }

  lastId(): number {
    return scalar(this.#sql, "SELECT MAX(id) FROM quarantine");
  }

  /** Those of (after, through] in order: at most `limit`, and at most `maxBytes` unless one alone is larger. */
  select(
    selection: QuarantineSelection,
    range: { after: number; through: number },
    limits: { limit: number; maxBytes: number },
  ): { held: Held[]; more: boolean } {
    const { where, values } = condition(selection);
    const rows = this.#sql.query<Row>(
      `SELECT id, seq, script, message, at, token, body FROM quarantine
       WHERE id > ? AND id <= ? AND ${where} ORDER BY id LIMIT ?`,
      ...[range.after, range.through, ...values, limits.limit + 1],
    );
    const held: Held[] = [];
    let bytes = 0;
    for (const row of rows) {
      const body = row.body instanceof Uint8Array ? row.body : new Uint8Array(row.body);
      bytes += body.length + 1;
      if (held.length === limits.limit || (held.length > 0 && bytes > limits.maxBytes)) return { held, more: true };
      held.push({ ...row, body });
    }
    return { held, more: false };
  }

  delete(ids: readonly number[]): void {
    this.#sql.run("DELETE FROM quarantine WHERE id IN (SELECT value FROM json_each(?))", JSON.stringify(ids));
  }

  /** Withholds and deletes those selected; how many, and their bytes. */
  discard(selection: QuarantineSelection): { count: number; bytes: number } {
    const { where, values } = condition(selection);
    const count = this.count(selection);
    const given = values as (string | number)[];
    const bytes = scalar(this.#sql, `SELECT COALESCE(SUM(bytes), 0) FROM quarantine WHERE ${where}`, ...given);
    this.#sql.run(`INSERT INTO withheld (seq, reason) SELECT seq, NULL FROM quarantine WHERE ${where}`, ...values);
    this.#sql.run(`DELETE FROM quarantine WHERE ${where}`, ...values);
    return { count, bytes };
  }
}

interface Row extends Record<string, SqlValue> {
  id: number;
  seq: number;
  script: string;
  message: string;
  at: number;
  token: string;
  body: ArrayBuffer | Uint8Array;
}

export function quarantinedEvent({ id, script, message, at, body }: Held): QuarantinedEvent {
  const event = JSON.parse(new TextDecoder().decode(body)) as QuarantinedEvent["event"];
  return { id, script, message, quarantined_at: new Date(at).toISOString(), event };
}

function condition(selection: QuarantineSelection): { where: string; values: SqlValue[] } {
  const terms: [string, SqlValue][] = [];
  if (selection.ids !== undefined) {
    terms.push(["id IN (SELECT value FROM json_each(?))", JSON.stringify(selection.ids)]);
  }
  if (selection.script !== undefined) terms.push(["script = ?", selection.script]);
  if (selection.event !== undefined) terms.push(["event = ?", selection.event]);
  if (selection.distinct_id !== undefined) terms.push(["distinct_id = ?", selection.distinct_id]);
  if (terms.length === 0) return { where: "TRUE", values: [] };
  return { where: terms.map(([term]) => term).join(" AND "), values: terms.map(([, value]) => value) };
}
