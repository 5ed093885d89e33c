import type { Clock } from "./clock.ts";
import { AppError, messageOf } from "./errors.ts";
import { type SnapshotReader, type TeamSnapshot, type TokenSnapshot, tokenSnapshot } from "./snapshot.ts";

/** How long a known token or team may be served from memory: the bound on how late a change is seen. */
const DEFAULT_TTL_MS = 30_000;
/** A token made a moment ago must work at once, so "unknown" is not believed for long. */
const DEFAULT_MISS_TTL_MS = 5_000;
/** KV answers from an edge cache that may lag by this much; after a change was announced D1 is asked first. */
const KV_SETTLE_MS = 60_000;
/** A token entry is about 200 bytes. */
const TOKEN_CAPACITY_COUNT = 20_000;
/** A team entry carries its bundle, up to a few hundred kilobytes, in an isolate of 128 MB. */
const TEAM_CAPACITY_COUNT = 200;

export interface SnapshotReaderOptions {
  kv: KVNamespace;
  db: D1Database;
  clock: Clock;
  /** How long a positive answer is served from memory. Default 30 s. */
  ttlMs?: number;
  /** How long a negative answer is. Default 5 s. */
  missTtlMs?: number;
  /** Entries kept at most. Default 20,000 tokens and 200 teams. */
  tokenCapacity?: number;
  teamCapacity?: number;
}

export interface CachingSnapshotReader extends SnapshotReader {
  /** Takes nothing in memory for fresh any more, because the configuration has changed; it stays as what is served in an outage. */
  forget(): void;
}

interface Entry<T> {
  value: T | null;
  staleAt: number;
}

/** Where one kind of snapshot rests. */
interface Source<T> {
  prefix: string;
  fromD1(db: D1Database, key: string): Promise<T | null>;
}

const tokenSource: Source<TokenSnapshot> = {
  prefix: "token:",
  fromD1: async (db, token) => {
    const row = await db
      .prepare(
        `SELECT v.snapshot -> '$.team' AS team, v.snapshot -> '$.version' AS version, v.snapshot -> '$.lanes' AS lanes,
           v.snapshot -> '$.sources' AS sources, v.snapshot -> '$.restrictions' AS restrictions, v.snapshot -> '$.quota' AS quota
         FROM tokens JOIN teams USING (team) JOIN team_versions v ON v.team = teams.team AND v.version = teams.version
         WHERE tokens.token = ?`,
      )
      .bind(token)
      .first<Record<string, string | null>>();
    if (row === null) return null;
    const fields = Object.entries(row).filter((field): field is [string, string] => field[1] !== null);
    const parsed = Object.fromEntries(fields.map(([name, text]) => [name, JSON.parse(text) as unknown]));
    return tokenSnapshot(parsed as unknown as TeamSnapshot, token);
  },
};

const teamSource: Source<TeamSnapshot> = {
  prefix: "team:",
  fromD1: async (db, team) => {
    const snapshot = await db
      .prepare(
        "SELECT v.snapshot AS snapshot FROM teams JOIN team_versions v USING (team, version) WHERE teams.team = ?",
      )
      .bind(team)
      .first<string>("snapshot");
    return snapshot === null ? null : (JSON.parse(snapshot) as TeamSnapshot);
  },
};

/**
 * Reads snapshots from memory, then KV, then D1, and answers "unknown" only on D1's word. Where neither can be read, the last
 * known value is served for as long as that lasts; without one it throws `configuration_unavailable` (503).
 * Two requests that miss at once both read: in workerd a request cannot wait for another one's I/O.
 */
export function createSnapshotReader(options: SnapshotReaderOptions): CachingSnapshotReader {
  const { kv, db, clock, ttlMs = DEFAULT_TTL_MS, missTtlMs = DEFAULT_MISS_TTL_MS } = options;
  const tokens = new Cache<TokenSnapshot>(options.tokenCapacity ?? TOKEN_CAPACITY_COUNT);
  const teams = new Cache<TeamSnapshot>(options.teamCapacity ?? TEAM_CAPACITY_COUNT);
  let d1FirstUntil = 0;

  async function load<T>(source: Source<T>, key: string): Promise<T | null> {
    if (clock.now() < d1FirstUntil) {
      try {
        return await source.fromD1(db, key);
      } catch (d1Error) {
        const value = await fromKv<T>(kv, source.prefix + key).catch(() => null);
        if (value !== null) return value;
        throw unavailable(d1Error);
      }
    }
    // KV in trouble is as good as a miss: D1 knows too.
    const value = await fromKv<T>(kv, source.prefix + key).catch(() => null);
    if (value !== null) return value;
    return source.fromD1(db, key).catch((error) => {
      throw unavailable(error);
    });
  }

  async function read<T>(cache: Cache<T>, source: Source<T>, key: string): Promise<T | null> {
    const entry = cache.get(key);
    if (entry !== undefined && clock.now() < entry.staleAt) return entry.value;
    try {
      const value = await load(source, key);
      cache.set(key, { value, staleAt: clock.now() + (value === null ? missTtlMs : ttlMs) });
      return value;
    } catch (error) {
      // A stale "unknown" is not served: it would refuse a token on nobody's word.
      if (entry?.value == null) throw error;
      // Not asked again at once, so that an outage of D1 does not cost every request a time-out.
      cache.set(key, { value: entry.value, staleAt: clock.now() + missTtlMs });
      return entry.value;
    }
  }

  return {
    token: (token) => read(tokens, tokenSource, token),
    team: (team) => read(teams, teamSource, team),
    forget: () => {
      tokens.expire();
      teams.expire();
      d1FirstUntil = clock.now() + KV_SETTLE_MS;
    },
  };
}

function fromKv<T>(kv: KVNamespace, key: string): Promise<T | null> {
  return kv.get<T>(key, "json");
}

function unavailable(cause: unknown): AppError {
  return new AppError(
    "configuration_unavailable",
    503,
    `the configuration cannot be read (${messageOf(cause)}): check that D1 and KV are bound, migrated and reachable`,
    { cause },
  );
}

/**
 * Bounded, in order of last refresh: whoever is in use is refreshed every TTL and so moves to the end without a cost per hit.
 * Unknown keys have a room of their own, so that a flood of made-up tokens pushes out none that exists.
 */
class Cache<T> {
  readonly #capacity: number;
  readonly #known = new Map<string, Entry<T>>();
  readonly #unknown = new Map<string, Entry<T>>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: string): Entry<T> | undefined {
    return this.#known.get(key) ?? this.#unknown.get(key);
  }

  set(key: string, entry: Entry<T>): void {
    this.#known.delete(key);
    this.#unknown.delete(key);
    const room = entry.value === null ? this.#unknown : this.#known;
    room.set(key, entry);
    if (room.size > this.#capacity) room.delete(room.keys().next().value as string);
  }

  expire(): void {
    this.#unknown.clear();
    for (const entry of this.#known.values()) entry.staleAt = Number.NEGATIVE_INFINITY;
  }
}

/** The operator's own bound on how late a change is seen, from a worker's variables. */
export function snapshotTtl(env: { SNAPSHOT_TTL_MS?: string }): Pick<SnapshotReaderOptions, "ttlMs"> {
  return env.SNAPSHOT_TTL_MS === undefined ? {} : { ttlMs: Number(env.SNAPSHOT_TTL_MS) };
}
