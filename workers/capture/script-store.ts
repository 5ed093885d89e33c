import type { Sql } from "../../shared/sql.ts";

/** Statements on `scripts` and `script_failures`, which lane-store.ts creates. */
export interface StoredScript {
  bundle: string;
  script: string;
  errors: number;
  kills: number;
  lastError: string | null;
  counts: ScriptCounts;
}

export interface ScriptCounts {
  events: number;
  dropped: number;
  steps: number;
  histogram: number[];
  logs: { at: string; text: string }[];
}

export interface StoredFailure {
  message: string;
  count: number;
  stack: string[];
  firstAt: number;
  lastAt: number;
  /** JSON. */
  sample: string;
}

export function noCounts(): ScriptCounts {
  return { events: 0, dropped: 0, steps: 0, histogram: [], logs: [] };
}

export class ScriptStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  scripts(): StoredScript[] {
    const rows = this.#sql.query<{
      bundle: string;
      script: string;
      errors: number;
      kills: number;
      last_error: string | null;
      health: string | null;
    }>("SELECT bundle, script, errors, kills, last_error, health FROM scripts");
    return [...rows].map(({ last_error, health, ...row }) => ({
      ...row,
      lastError: last_error,
      counts: { ...noCounts(), ...(health === null ? {} : (JSON.parse(health) as ScriptCounts)) },
    }));
  }

  failures(bundle: string, script: string): StoredFailure[] {
    const rows = this.#sql.query<{
      message: string;
      count: number;
      stack: string;
      first_at: number;
      last_at: number;
      sample: string;
    }>(
      `SELECT message, count, stack, first_at, last_at, sample FROM script_failures
       WHERE bundle = ? AND script = ? ORDER BY last_at`,
      bundle,
      script,
    );
    return [...rows].map(({ first_at: firstAt, last_at: lastAt, stack, ...row }) => ({
      ...row,
      stack: JSON.parse(stack) as string[],
      firstAt,
      lastAt,
    }));
  }

  /** A bundle has taken the place of all others: what was known of their scripts is history. */
  keepOnly(bundle: string): void {
    this.#sql.run("DELETE FROM scripts WHERE bundle <> ?", bundle);
    this.#sql.run("DELETE FROM script_failures WHERE bundle <> ?", bundle);
  }

  write({ bundle, script, errors, kills, lastError, counts }: StoredScript): void {
    this.#sql.run(
      "INSERT OR REPLACE INTO scripts (bundle, script, errors, kills, last_error, health) VALUES (?, ?, ?, ?, ?, ?)",
      ...[bundle, script, errors, kills, lastError, JSON.stringify(counts)],
    );
  }

  writeFailure(bundle: string, script: string, failure: StoredFailure): void {
    this.#sql.run(
      `INSERT INTO script_failures (bundle, script, message, count, stack, first_at, last_at, sample)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (bundle, script, message) DO UPDATE SET count = excluded.count, last_at = excluded.last_at`,
      ...[bundle, script, failure.message, failure.count, JSON.stringify(failure.stack)],
      ...[failure.firstAt, failure.lastAt, failure.sample],
    );
  }

  deleteFailure(bundle: string, script: string, message: string): void {
    this.#sql.run(
      "DELETE FROM script_failures WHERE bundle = ? AND script = ? AND message = ?",
      ...[bundle, script, message],
    );
  }
}
