import { firstRow, type Sql } from "./sql.ts";

export interface Migration {
  /** Never changes once it has shipped. */
  readonly id: string;
  readonly statements: readonly string[];
}

/**
 * Brings a store's schema up to date. The list is append-only: a reordered, renamed or unknown id is refused,
 * because the data on disk was written by the list as it stood.
 */
export function migrate(sql: Sql, migrations: readonly Migration[]): void {
  sql.run("CREATE TABLE IF NOT EXISTS migrations (position INTEGER PRIMARY KEY, id TEXT NOT NULL)");
  const done = [...sql.query<{ id: string }>("SELECT id FROM migrations ORDER BY position")].map((row) => row.id);
  for (const [position, id] of done.entries()) {
    const known = migrations[position]?.id;
    if (known !== id) {
      throw new Error(
        `storage has migration "${id}" at position ${position} where this version has "${known ?? "none"}": run the version that wrote it, or a later one`,
      );
    }
  }
  for (const [position, migration] of migrations.entries()) {
    if (position < done.length) continue;
    sql.transaction(() => {
      for (const statement of migration.statements) sql.run(statement);
      sql.run("INSERT INTO migrations (position, id) VALUES (?, ?)", position, migration.id);
    });
  }
}

/** The value of the only column of the only row. */
export function scalar(sql: Sql, statement: string, ...values: (string | number)[]): number {
  const row = firstRow(sql.query<Record<string, number | null>>(statement, ...values));
  return row === undefined ? 0 : (Object.values(row)[0] ?? 0);
}
