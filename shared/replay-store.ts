import type { Migration } from "./migrate.ts";
import { firstRow, type Sql, type SqlValue } from "./sql.ts";

/** The table that a lane's and an outbox's own migrations include. */
export const REPLAYS_TABLE: Migration["statements"][number] = `CREATE TABLE replays (
  id TEXT PRIMARY KEY, created_at INTEGER NOT NULL, ended_at INTEGER, state TEXT NOT NULL, request TEXT NOT NULL,
  position TEXT NOT NULL, total INTEGER, seen INTEGER NOT NULL DEFAULT 0, replayed INTEGER NOT NULL DEFAULT 0, problem TEXT)`;

export interface Replay<Request, Position> {
  id: string;
  createdAt: number;
  endedAt: number | null;
  state: "running" | "done" | "cancelled";
  request: Request;
  /** Where it goes on. */
  position: Position;
  total: number | null;
  seen: number;
  replayed: number;
  problem: string | null;
}

/** Ended ones that stay to be looked at. */
const KEPT_COUNT = 100;

/** Every statement on `replays`. */
export class ReplayStore<Request, Position> {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Nothing where there is one of this id. */
  insert(id: string, createdAt: number, request: Request, position: Position, total: number | null): void {
    this.#sql.run(
      `INSERT INTO replays (id, created_at, state, request, position, total) VALUES (?, ?, 'running', ?, ?, ?)
       ON CONFLICT (id) DO NOTHING`,
      ...[id, createdAt, JSON.stringify(request), JSON.stringify(position), total],
    );
  }

  get(id: string): Replay<Request, Position> | null {
    const row = firstRow(this.#sql.query<Row>("SELECT * FROM replays WHERE id = ?", id));
    return row === undefined ? null : replayOf(row);
  }

  /** The newest first. */
  all(): Replay<Request, Position>[] {
    return [...this.#sql.query<Row>("SELECT * FROM replays ORDER BY created_at DESC, id")].map((row) => replayOf(row));
  }

  running(): string[] {
    const rows = this.#sql.query<{ id: string }>("SELECT id FROM replays WHERE state = 'running' ORDER BY created_at");
    return [...rows].map(({ id }) => id);
  }

  /** It has got so far: call it inside the transaction that moves the events, where there is one. */
  advance(id: string, position: Position, seen: number, replayed: number): void {
    this.#sql.run(
      "UPDATE replays SET position = ?, seen = seen + ?, replayed = replayed + ? WHERE id = ?",
      ...[JSON.stringify(position), seen, replayed, id],
    );
  }

  setProblem(id: string, problem: string | null): void {
    this.#sql.run("UPDATE replays SET problem = ? WHERE id = ?", problem, id);
  }

  /** False where it runs no more. */
  end(id: string, state: "done" | "cancelled", endedAt: number): boolean {
    const statement = "UPDATE replays SET state = ?, ended_at = ? WHERE id = ? AND state = 'running' RETURNING id";
    const ended = firstRow(this.#sql.query<{ id: string }>(statement, state, endedAt, id)) !== undefined;
    this.#sql.run(
      `DELETE FROM replays WHERE state <> 'running' AND id NOT IN
         (SELECT id FROM replays WHERE state <> 'running' ORDER BY ended_at DESC LIMIT ${KEPT_COUNT})`,
    );
    return ended;
  }
}

interface Row extends Record<string, SqlValue> {
  id: string;
  created_at: number;
  ended_at: number | null;
  state: string;
  request: string;
  position: string;
  total: number | null;
  seen: number;
  replayed: number;
  problem: string | null;
}

function replayOf<Request, Position>(row: Row): Replay<Request, Position> {
  const { id, created_at: createdAt, ended_at: endedAt, total, seen, replayed, problem } = row;
  return {
    ...{
      id,
      createdAt,
      endedAt,
      total,
      seen,
      replayed,
      problem,
      state: row.state as Replay<Request, Position>["state"],
    },
    request: JSON.parse(row.request) as Request,
    position: JSON.parse(row.position) as Position,
  };
}
