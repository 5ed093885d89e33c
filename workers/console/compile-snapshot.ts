import { type DestinationConfig, settingsOf, type TeamConfig } from "../../shared/config.ts";
import { AppError } from "../../shared/errors.ts";
import type { Filter } from "../../shared/filter.ts";
import { mapFields } from "../../shared/secret-fields.ts";
import type { Bundle, DestinationSnapshot, TeamSnapshot } from "../../shared/snapshot.ts";
import type { DestinationKind } from "../deliver/destinations/destination.ts";

/** D1 takes rows of up to 2 MB; a version's row holds the configuration and the snapshot compiled from it. */
const VERSION_MAX_BYTES = 1_900_000;

/** Compiles a team's scripts and filters. Throws an `AppError` that names the script, the line and the column. */
export type CompileBundle = (source: {
  team: string;
  scripts: { id: string; code: string; filename?: string; on_error: "pass"; inputs: Record<string, unknown> }[];
  filters: Record<string, Filter>;
}) => Promise<Bundle>;

/** What the edge needs of a team's configuration. Secrets are left out, whatever they hold. */
export async function compileSnapshot(
  config: TeamConfig,
  version: number,
  kinds: readonly DestinationKind[],
  compile: CompileBundle,
): Promise<TeamSnapshot> {
  const snapshot: TeamSnapshot = {
    team: config.id,
    version,
    lanes: config.lanes,
    tokens: config.tokens,
    bundle: await compileTeam(config, compile),
    destinations: config.destinations.map((destination) => compileDestination(destination, kinds)),
  };
  const encoder = new TextEncoder();
  const bytes = encoder.encode(JSON.stringify(config)).length + encoder.encode(JSON.stringify(snapshot)).length;
  if (bytes > VERSION_MAX_BYTES) {
    throw new AppError(
      "team_too_large",
      422,
      `team ${config.id} takes ${bytes} bytes, more than the ${VERSION_MAX_BYTES} that fit: shorten its scripts or their inputs`,
      { field: "transformations" },
    );
  }
  return snapshot;
}

async function compileTeam(config: TeamConfig, compile: CompileBundle): Promise<Bundle | null> {
  const filters: Record<string, Filter> = {};
  for (const { id, filter } of config.destinations) if (filter !== undefined) filters[id] = filter;
  if (config.transformations.length === 0 && Object.keys(filters).length === 0) return null;
  return compile({
    team: config.id,
    scripts: config.transformations.map(({ id, file, code, on_error, inputs }) => ({
      id,
      code,
      ...(file === undefined ? {} : { filename: file }),
      on_error,
      inputs,
    })),
    filters,
  });
}

function compileDestination(destination: DestinationConfig, kinds: readonly DestinationKind[]): DestinationSnapshot {
  const kind = kinds.find((candidate) => candidate.kind === destination.kind);
  if (kind === undefined) throw new Error(`destination ${destination.id} has the unknown kind ${destination.kind}`);
  return {
    id: destination.id,
    kind: kind.kind,
    settings: mapFields(settingsOf(destination), kind.secrets, () => undefined),
  };
}
