import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { Sql, SqlValue } from "../sql.ts";

/** `Sql` on node:sqlite, in memory unless a path is given: the same statements as in a Durable Object, without a runtime. */
export function nodeSql(path = ":memory:"): Sql & { close(): void } {
  const db = new DatabaseSync(path);
  const bind = (values: SqlValue[]): SQLInputValue[] =>
    values.map((value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : (value as SQLInputValue)));
  let depth = 0;
  return {
    *query<Row extends Record<string, SqlValue>>(statement: string, ...values: SqlValue[]) {
      yield* db.prepare(statement).iterate(...bind(values)) as Iterable<Row>;
    },
    run: (statement, ...values) => Number(db.prepare(statement).run(...bind(values)).changes),
    transaction: (body) => {
      const savepoint = `t${depth++}`;
      db.exec(`SAVEPOINT ${savepoint}`);
      try {
        const result = body();
        db.exec(`RELEASE ${savepoint}`);
        return result;
      } catch (error) {
        db.exec(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
        throw error;
      } finally {
        depth--;
      }
    },
    close: () => db.close(),
  };
}
