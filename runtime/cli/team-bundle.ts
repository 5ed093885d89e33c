import type { ConfigDocument, TeamConfig } from "../../shared/config.ts";
import { secretsOfTeam } from "../../shared/config.ts";
import type { TeamSnapshot } from "../../shared/snapshot.ts";
import { compileSnapshot } from "../../workers/console/compile-snapshot.ts";
import { destinationKinds } from "../../workers/deliver/destinations/registry.ts";
import { compileBundle } from "../../workers/transform/compile.ts";
import { CliError } from "./cli-error.ts";

/** The team of that id, or the only one. Throws `CliError`. */
export function teamOf({ teams }: ConfigDocument, id: string | undefined): TeamConfig {
  const [first, ...others] = teams;
  const ids = teams.map((team) => team.id).join(", ");
  if (id === undefined) {
    if (first === undefined) throw new CliError("the configuration has no team");
    if (others.length > 0) throw new CliError(`say which team is meant, as "team": there are ${ids}`);
    return first;
  }
  const found = teams.find((team) => team.id === id);
  if (found === undefined) throw new CliError(`there is no team "${id}": there are ${ids}`);
  return found;
}

/** The team with this script alone: no sources' scripts, no destinations. Throws `CliError`. */
export function onlyScript(team: TeamConfig, id: string): TeamConfig {
  const transformations = team.transformations.filter((script) => script.id === id);
  if (transformations.length === 0) {
    const ids = team.transformations.map((script) => script.id).join(", ") || "none";
    throw new CliError(`team ${team.id} has no transformation "${id}": it has ${ids}`);
  }
  return { ...team, transformations, destinations: [], sources: [], restrictions: [] };
}

/** Compiles a team as publishing does; its credentials stand in the bundle in plain text, since nothing is stored. */
export function compileTeam(team: TeamConfig): Promise<TeamSnapshot> {
  const secrets = [...secretsOfTeam(team, "", destinationKinds)].map(({ owner, field, value }) => ({
    ...{ team: team.id, owner, field },
    sealed: value,
  }));
  return compileSnapshot(team, 1, destinationKinds, compileBundle, secrets);
}
