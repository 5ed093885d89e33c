import type { DeadLetter, DeadLetterSelection } from "../../shared/outbox-api.ts";
import { firstRow, type Sql, type SqlValue } from "../../shared/sql.ts";
import { blob } from "./outbox-store.ts";

/** Statements on `dead_letters` and `unshaped`, which outbox-store.ts creates. One row an event. */
export interface NewDeadLetter {
  diedAt: number;
  uuid: string;
  event: string;
  distinctId: string;
  token: string;
  attempts: number;
  reason: string;
  status: number | null;
  response: string | null;
  /** One line; null where it is too large to be kept. */
  body: Uint8Array | null;
  /** The destination's script failed on it, and has to make of it what is sent. Absent: it did. */
  unshaped?: boolean;
}

/** One that can be sent again. */
export interface Replayable {
  id: number;
  unshaped: boolean;
  token: string;
  bytes: number;
  body: Uint8Array;
}

/** Of a page: well below the 32 MiB that may pass between workers. */
const PAGE_BYTES = 8_000_000;

/** What a row weighs beside its body and its answer: names, index, page overhead, roughly. */
const ROW_BYTES = 200;

export class DeadLetterStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Returns what it counts for the cap. */
  insert(letter: NewDeadLetter): number {
    const bytes = ROW_BYTES + (letter.body?.length ?? 0) + (letter.response?.length ?? 0);
    const row = firstRow(
      this.#sql.query<{ id: number }>(
        `INSERT INTO dead_letters (died_at, bytes, uuid, event, distinct_id, token, attempts, reason, status, response, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
        ...[letter.diedAt, bytes, letter.uuid, letter.event, letter.distinctId, letter.token, letter.attempts],
        ...[letter.reason, letter.status, letter.response, letter.body],
      ),
    );
    if (letter.unshaped === true) this.#sql.run("INSERT INTO unshaped VALUES (?)", (row as { id: number }).id);
    return bytes;
  }

  /** In order, as many as pass between workers at once; `more`: it stopped for their size. */
  page(selection: DeadLetterSelection, after: number, limit: number): { page: DeadLetter[]; more: boolean } {
    const { where, values } = condition(selection);
    const rows = this.#sql.query<Row>(
      `SELECT *, ${UNSHAPED} FROM dead_letters WHERE id > ? AND ${where} ORDER BY id LIMIT ?`,
      ...[after, ...values, limit],
    );
    const page: DeadLetter[] = [];
    let left = PAGE_BYTES;
    for (const row of rows) {
      page.push(deadLetterOf(row));
      left -= row.bytes;
      if (left < 0) return { page, more: true };
    }
    return { page, more: false };
  }

  count(selection: DeadLetterSelection): number {
    const { where, values } = condition(selection);
    const statement = `SELECT COUNT(*) AS count FROM dead_letters WHERE ${where}`;
    return firstRow(this.#sql.query<{ count: number }>(statement, ...values))?.count ?? 0;
  }

  lastId(): number {
    return firstRow(this.#sql.query<{ id: number | null }>("SELECT MAX(id) AS id FROM dead_letters"))?.id ?? 0;
  }

  /**
   * Those of (after, through] in order, up to both limits and at least one; all of them unshaped or none. Walked lazily, so that
   * memory is bounded.
   */
  replayable(
    selection: DeadLetterSelection,
    range: { after: number; through: number },
    limits: { maxEvents: number; maxBytes: number },
  ): Replayable[] {
    const { where, values } = condition(selection);
    const rows = this.#sql.query<Row>(
      `SELECT id, token, bytes, body, ${UNSHAPED} FROM dead_letters
       WHERE id > ? AND id <= ? AND body IS NOT NULL AND ${where} ORDER BY id LIMIT ?`,
      ...[range.after, range.through, ...values, limits.maxEvents],
    );
    const taken: Replayable[] = [];
    let bytes = 0;
    for (const { id, token, bytes: weight, body, unshaped: flag } of rows) {
      const line = blob(body as Uint8Array);
      const unshaped = flag === 1;
      bytes += line.length + 1;
      if (taken.length > 0 && (bytes > limits.maxBytes || unshaped !== taken[0]?.unshaped)) break;
      taken.push({ id, unshaped, token, bytes: weight, body: line });
    }
    return taken;
  }

  /** Those of (after, through] in order, without their bodies. */
  weights(
    selection: DeadLetterSelection,
    range: { after: number; through: number },
    limit: number,
  ): { id: number; bytes: number }[] {
    const { where, values } = condition(selection);
    const rows = this.#sql.query<{ id: number; bytes: number }>(
      `SELECT id, bytes FROM dead_letters WHERE id > ? AND id <= ? AND ${where} ORDER BY id LIMIT ?`,
      ...[range.after, range.through, ...values, limit],
    );
    return [...rows];
  }

  /** Which of them are still there. */
  present(ids: readonly number[]): Set<number> {
    const statement = "SELECT id FROM dead_letters WHERE id IN (SELECT value FROM json_each(?))";
    return new Set([...this.#sql.query<{ id: number }>(statement, JSON.stringify(ids))].map(({ id }) => id));
  }

  /** It has failed again. */
  setReason(id: number, reason: string, diedAt: number): void {
    this.#sql.run("UPDATE dead_letters SET reason = ?, died_at = ? WHERE id = ?", reason, diedAt, id);
  }

  delete(ids: readonly number[]): void {
    const list = JSON.stringify(ids);
    this.#sql.run("DELETE FROM dead_letters WHERE id IN (SELECT value FROM json_each(?))", list);
    this.#sql.run("DELETE FROM unshaped WHERE id IN (SELECT value FROM json_each(?))", list);
  }

  /** The oldest, in order. */
  oldest(limit: number): { id: number; diedAt: number; bytes: number }[] {
    const rows = this.#sql.query<{ id: number; died_at: number; bytes: number }>(
      "SELECT id, died_at, bytes FROM dead_letters ORDER BY id LIMIT ?",
      limit,
    );
    return [...rows].map(({ id, died_at: diedAt, bytes }) => ({ id, diedAt, bytes }));
  }
}

/** 1 or 0, by a look at a table that is mostly empty. */
const UNSHAPED = "EXISTS (SELECT 1 FROM unshaped WHERE unshaped.id = dead_letters.id) AS unshaped";

interface Row extends Record<string, SqlValue> {
  id: number;
  died_at: number;
  bytes: number;
  uuid: string;
  event: string;
  distinct_id: string;
  token: string;
  attempts: number;
  reason: string;
  status: number | null;
  response: string | null;
  body: ArrayBuffer | Uint8Array | null;
  unshaped: number;
}

function condition(selection: DeadLetterSelection): { where: string; values: SqlValue[] } {
  const terms: [string, SqlValue][] = [];
  if (selection.ids !== undefined)
    terms.push(["id IN (SELECT value FROM json_each(?))", JSON.stringify(selection.ids)]);
  if (selection.event !== undefined) terms.push(["event = ?", selection.event]);
  if (selection.distinct_id !== undefined) terms.push(["distinct_id = ?", selection.distinct_id]);
  if (selection.reason !== undefined) terms.push(["instr(lower(reason), lower(?)) > 0", selection.reason]);
  if (selection.since !== undefined) terms.push(["died_at >= ?", Date.parse(selection.since)]);
  if (selection.until !== undefined) terms.push(["died_at < ?", Date.parse(selection.until)]);
  if (terms.length === 0) return { where: "TRUE", values: [] };
  return { where: terms.map(([term]) => term).join(" AND "), values: terms.map(([, value]) => value) };
}

function deadLetterOf(row: Row): DeadLetter {
  const { id, uuid, event, distinct_id, reason, status, response, attempts } = row;
  return {
    ...{ id, uuid, event, distinct_id, reason, status, response, attempts },
    died_at: new Date(row.died_at).toISOString(),
    body: row.body === null ? null : JSON.parse(new TextDecoder().decode(blob(row.body))),
    ...(row.unshaped === 1 ? { unshaped: true as const } : {}),
  };
}
