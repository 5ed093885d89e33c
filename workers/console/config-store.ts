import type { TeamConfig } from "../../shared/config.ts";
import { AppError, messageOf } from "../../shared/errors.ts";
import type { TeamSnapshot } from "../../shared/snapshot.ts";

/** A team's version in force, as stored: secrets are masks, and a removed team has no tokens. */
export interface StoredTeam {
  team: string;
  version: number;
  /** ISO 8601. */
  createdAt: string;
  config: TeamConfig;
  /** Hash of its bundle; null where it has none. */
  bundle: string | null;
}

export interface SealedSecret {
  team: string;
  /** As `FoundSecret` has it. */
  owner: string;
  field: string;
  sealed: string;
}

/** A version to be written. */
export interface NewVersion {
  config: TeamConfig;
  snapshot: TeamSnapshot;
  /** All secrets of the team, which replace those stored; null leaves them as they are. */
  secrets: SealedSecret[] | null;
}

interface TeamRow {
  team: string;
  version: number;
  created_at: string;
  config: string;
  bundle: string | null;
}

/** Somebody else has written a version since this one was prepared. */
class ConfigConflict extends AppError {
  constructor(cause: unknown) {
    super("config_conflict", 409, "the configuration was changed by somebody else in this moment: send it again", {
      cause,
    });
  }
}

const VERSIONS = `SELECT team, version, created_at, config, json_extract(snapshot, '$.bundle.hash') AS bundle
  FROM team_versions`;
const TEAMS = VERSIONS.replace("FROM team_versions", "FROM teams JOIN team_versions USING (team, version)");

/** Configuration in D1: an immutable row for each version of a team, and what the edge looks up. */
export class ConfigStore {
  readonly #db: D1Database;

  constructor(db: D1Database) {
    this.#db = db;
  }

  /** All teams, removed ones too, by id. */
  async teams(): Promise<StoredTeam[]> {
    const { results } = await this.#db.prepare(`${TEAMS} ORDER BY team`).all<TeamRow>();
    return results.map(storedTeam);
  }

  async team(team: string): Promise<StoredTeam | null> {
    const row = await this.#db.prepare(`${TEAMS} WHERE team = ?`).bind(team).first<TeamRow>();
    return row === null ? null : storedTeam(row);
  }

  /** The team's versions, newest first, below `before`. */
  async versions(team: string, limit: number, before: number): Promise<StoredTeam[]> {
    const { results } = await this.#db
      .prepare(`${VERSIONS} WHERE team = ? AND version < ? ORDER BY version DESC LIMIT ?`)
      .bind(team, before, limit)
      .all<TeamRow>();
    return results.map(storedTeam);
  }

  /** Any version of the team; null where there is none of this number. */
  async version(team: string, version: number): Promise<StoredTeam | null> {
    const row = await this.#db
      .prepare(`${VERSIONS} WHERE team = ? AND version = ?`)
      .bind(team, version)
      .first<TeamRow>();
    return row === null ? null : storedTeam(row);
  }

  async snapshot(team: string): Promise<TeamSnapshot> {
    const text = await this.#db
      .prepare("SELECT snapshot FROM teams JOIN team_versions USING (team, version) WHERE team = ?")
      .bind(team)
      .first<string>("snapshot");
    if (text === null) throw new Error(`team ${team} has no version in force`);
    return JSON.parse(text) as TeamSnapshot;
  }

  async secrets(): Promise<SealedSecret[]> {
    return (await this.#db.prepare("SELECT team, owner, field, sealed FROM secrets").all<SealedSecret>()).results;
  }

  /** Lanes that exist, of one team or of all. */
  async lanes(team?: string): Promise<{ lane: string; team: string }[]> {
    const statement = this.#db
      .prepare("SELECT lane, team FROM lanes WHERE ?1 IS NULL OR team = ?1 ORDER BY lane")
      .bind(team ?? null);
    return (await statement.all<{ lane: string; team: string }>()).results;
  }

  /** Outboxes that exist, of one team or of all; those of removed destinations too. */
  async outboxes(team?: string): Promise<{ team: string; destination: string }[]> {
    const statement = this.#db
      .prepare("SELECT team, destination FROM outboxes WHERE ?1 IS NULL OR team = ?1 ORDER BY team, destination")
      .bind(team ?? null);
    return (await statement.all<{ team: string; destination: string }>()).results;
  }

  /** Throws unless the database answers and is migrated. */
  async check(): Promise<void> {
    await this.#db.prepare("SELECT 1 FROM teams LIMIT 1").all();
  }

  /** Writes all versions or none. Throws `ConfigConflict` where one of them exists already. */
  async write(versions: readonly NewVersion[], createdAt: string): Promise<void> {
    const statements = [
      // A token may move from one team to another: it has to leave before it can arrive.
      ...versions.map(({ snapshot }) => this.#db.prepare("DELETE FROM tokens WHERE team = ?").bind(snapshot.team)),
      ...versions.flatMap((version) => this.#statements(version, createdAt)),
    ];
    try {
      await this.#db.batch(statements);
    } catch (error) {
      if (isVersionConflict(messageOf(error))) throw new ConfigConflict(error);
      throw error;
    }
  }

  #statements({ config, snapshot, secrets }: NewVersion, createdAt: string): D1PreparedStatement[] {
    const { team, version } = snapshot;
    return [
      this.#db
        .prepare("INSERT INTO team_versions (team, version, created_at, config, snapshot) VALUES (?, ?, ?, ?, ?)")
        .bind(team, version, createdAt, JSON.stringify(config), JSON.stringify(snapshot)),
      this.#db
        .prepare("INSERT INTO teams (team, version) VALUES (?1, ?2) ON CONFLICT (team) DO UPDATE SET version = ?2")
        .bind(team, version),
      ...snapshot.tokens.map((token) =>
        this.#db.prepare("INSERT INTO tokens (token, team) VALUES (?, ?)").bind(token, team),
      ),
      ...(secrets === null ? [] : [this.#db.prepare("DELETE FROM secrets WHERE team = ?").bind(team)]),
      ...(secrets ?? []).map((secret) =>
        this.#db
          .prepare("INSERT INTO secrets (team, owner, field, sealed) VALUES (?, ?, ?, ?)")
          .bind(secret.team, secret.owner, secret.field, secret.sealed),
      ),
    ];
  }
}

/** D1 reports a violated constraint in the text only. */
export function isVersionConflict(message: string): boolean {
  return /UNIQUE constraint failed: (team_versions\.|tokens\.token)/.test(message);
}

function storedTeam(row: TeamRow): StoredTeam {
  return {
    team: row.team,
    version: row.version,
    createdAt: row.created_at,
    config: JSON.parse(row.config) as TeamConfig,
    bundle: row.bundle,
  };
}
