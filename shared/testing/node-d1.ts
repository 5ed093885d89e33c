import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";

const MIGRATIONS = join(import.meta.dirname, "..", "..", "migrations");

/** D1 on node:sqlite, in memory, with the repository's migrations applied: the real statements run on a real SQLite. */
export interface NodeD1 extends D1Database {
  /** Makes every statement fail with this message, until null. */
  failWith(message: string | null): void;
  /** Statements run so far. */
  readonly statements: string[];
  close(): void;
}

export function nodeD1(): NodeD1 {
  const db = new DatabaseSync(":memory:");
  for (const file of readdirSync(MIGRATIONS).sort()) db.exec(readFileSync(join(MIGRATIONS, file), "utf8"));
  const statements: string[] = [];
  let failure: string | null = null;

  class Statement {
    readonly #sql: string;
    readonly #values: SQLInputValue[];
    constructor(sql: string, values: SQLInputValue[] = []) {
      this.#sql = sql;
      this.#values = values;
    }
    bind(...values: unknown[]): Statement {
      return new Statement(this.#sql, values as SQLInputValue[]);
    }
    rows(): Record<string, unknown>[] {
      if (failure !== null) throw new Error(failure);
      statements.push(this.#sql);
      return db.prepare(this.#sql).all(...this.#values) as Record<string, unknown>[];
    }
    async all() {
      return { success: true, results: this.rows(), meta: {} };
    }
    async run() {
      return this.all();
    }
    async first(column?: string) {
      const row = this.rows()[0];
      if (row === undefined) return null;
      return column === undefined ? row : row[column];
    }
  }

  const d1 = {
    statements,
    failWith: (message: string | null) => {
      failure = message;
    },
    prepare: (sql: string) => new Statement(sql),
    batch: async (batch: Statement[]) => {
      db.exec("BEGIN");
      try {
        const results = batch.map((statement) => ({ success: true, results: statement.rows(), meta: {} }));
        db.exec("COMMIT");
        return results;
      } catch (error) {
        db.exec("ROLLBACK");
        throw error;
      }
    },
    close: () => db.close(),
  };
  return d1 as unknown as NodeD1;
}
