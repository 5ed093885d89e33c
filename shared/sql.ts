/** Synchronous SQLite as the stores see it. Two adapters: a Durable Object's storage, and node:sqlite in tests. */
export type SqlValue = string | number | null | ArrayBuffer | Uint8Array;

export interface Sql {
  /** Runs one statement and returns its rows lazily: stop iterating and the rest is never read. BLOBs come as ArrayBuffer or Uint8Array. */
  query<Row extends Record<string, SqlValue>>(statement: string, ...values: SqlValue[]): Iterable<Row>;
  /** Runs one statement for its effect; returns the number of rows that it changed. */
  run(statement: string, ...values: SqlValue[]): number;
  /** All or nothing; `body` must not await. Throws what `body` throws, after rolling back. */
  transaction<T>(body: () => T): T;
}

export function firstRow<Row>(rows: Iterable<Row>): Row | undefined {
  for (const row of rows) return row;
  return undefined;
}

/** A Durable Object's own database. */
export function objectSql(storage: DurableObjectStorage): Sql {
  return {
    query: <Row extends Record<string, SqlValue>>(statement: string, ...values: SqlValue[]) =>
      storage.sql.exec(statement, ...values) as unknown as Iterable<Row>,
    run: (statement, ...values) => {
      const cursor = storage.sql.exec(statement, ...values);
      cursor.toArray();
      return cursor.rowsWritten;
    },
    transaction: (body) => storage.transactionSync(body),
  };
}
