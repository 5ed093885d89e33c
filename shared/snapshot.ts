import type { QuotaConfig, RestrictionConfig, SourceConfig } from "./config-sources.ts";
import type { Filter } from "./filter.ts";

/**
 * A team's configuration as the edge reads it: compiled, immutable, without secrets.
 * KV holds a `TokenSnapshot` under `token:<token>` and a `TeamSnapshot` under `team:<id>`.
 */
export interface TokenSnapshot {
  team: string;
  /** Number of lanes per region. */
  lanes: number;
  /** Version of the team's configuration; grows by one with every change. */
  version: number;
  /** The source that the token belongs to; absent for a token of the team. */
  source?: SourceSnapshot;
  /** Absent where there are none. */
  restrictions?: RestrictionConfig[];
  quota?: QuotaConfig;
}

/** A source's rules as the edge reads them; its script is in the bundle. */
export interface SourceSnapshot extends Omit<SourceConfig, "verify" | "transformation"> {
  /** The secret is sealed: deliver alone opens it. */
  verify?: { scheme: NonNullable<SourceConfig["verify"]>["scheme"]; header?: string; sealed: string };
}

export interface TeamSnapshot {
  team: string;
  version: number;
  lanes: number;
  /** Those of its sources too. */
  tokens: string[];
  sources?: SourceSnapshot[];
  restrictions?: RestrictionConfig[];
  quota?: QuotaConfig;
  /** Null where the team has neither scripts nor filters: its events skip the sandbox. */
  bundle: Bundle | null;
  destinations: DestinationSnapshot[];
  /** Where the team is told how its destinations do: a webhook of its own, which gets no events. Absent: nowhere. */
  notifications?: DestinationSnapshot;
}

/** A team's whole active chain, its sources' and its destinations' own scripts, as one isolate program. */
export interface Bundle {
  /** SHA-256, hex, of everything below: the isolate's id. */
  hash: string;
  team: string;
  /** In chain order: the sources' own scripts first, then the team's. */
  scripts: BundleScript[];
  /** Filters by destination id; a destination without a filter is absent. */
  filters: Record<string, Filter>;
  /** Destinations' own scripts by destination id; absent where no destination has one. */
  shapers?: Record<string, Omit<BundleScript, "on_error" | "source"> & { on_error: "dead_letter" | "pass" | "drop" }>;
  /** Module name → ES module source; fuel already injected. */
  modules: Record<string, string>;
  /** The `headwater:*` libraries that the modules import, sorted; absent where they import none. */
  libraries?: string[];
}

export interface BundleScript {
  /** The transformation's id in the configuration; `source:<id>` and `destination:<id>` for scripts of those. */
  id: string;
  /** Name of its module in `modules`: exports `transform` or `transformBatch`. */
  module: string;
  /** Name of the module whose lines the author wrote, where `module` only wraps it (scripts written for other products). */
  authored?: string;
  on_error: "pass" | "drop" | "quarantine";
  /** Runs on events of this source only. */
  source?: string;
  inputs: Record<string, unknown>;
  /** Name → sealed secret; opened when the bundle is handed to the sandbox. Absent where it has none. */
  credentials?: Record<string, string>;
}

export interface DestinationSnapshot {
  id: string;
  kind: string;
  /** Parsed by the kind's own schema; secret fields are left out. */
  settings: Record<string, unknown>;
}

/** What the edge reads by one of the team's tokens. */
export function tokenSnapshot(
  {
    team,
    lanes,
    version,
    sources,
    restrictions,
    quota,
  }: Pick<TeamSnapshot, "team" | "lanes" | "version" | "sources" | "restrictions" | "quota">,
  token: string,
): TokenSnapshot {
  const source = sources?.find(({ tokens }) => tokens.includes(token));
  return {
    team,
    lanes,
    version,
    ...(source === undefined ? {} : { source }),
    ...(restrictions === undefined ? {} : { restrictions }),
    ...(quota === undefined ? {} : { quota }),
  };
}

/** Where a stage reads its team's configuration. Throws when it cannot be read; null where there is none. */
export interface SnapshotReader {
  token(token: string): Promise<TokenSnapshot | null>;
  team(team: string): Promise<TeamSnapshot | null>;
}
