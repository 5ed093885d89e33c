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
}

export interface TeamSnapshot {
  team: string;
  version: number;
  lanes: number;
  tokens: string[];
  /** Null where the team has neither scripts nor filters: its events skip the sandbox. */
  bundle: Bundle | null;
  destinations: DestinationSnapshot[];
}

/** A team's whole active chain as one isolate program. */
export interface Bundle {
  /** SHA-256, hex, of everything below: the isolate's id. */
  hash: string;
  team: string;
  /** In chain order. */
  scripts: BundleScript[];
  /** Filters by destination id; a destination without a filter is absent. */
  filters: Record<string, Filter>;
  /** Module name → ES module source; fuel already injected. */
  modules: Record<string, string>;
}

export interface BundleScript {
  /** The transformation's id in the configuration. */
  id: string;
  /** Name of its module in `modules`. */
  module: string;
  on_error: "pass";
  inputs: Record<string, unknown>;
}

export interface DestinationSnapshot {
  id: string;
  kind: string;
  /** Parsed by the kind's own schema; secret fields are left out. */
  settings: Record<string, unknown>;
}

/** Where a stage reads its team's configuration. Throws when it cannot be read; null where there is none. */
export interface SnapshotReader {
  token(token: string): Promise<TokenSnapshot | null>;
  team(team: string): Promise<TeamSnapshot | null>;
}
