import { z } from "zod";
import { secretsOfTeam, type TeamConfig } from "../../../shared/config.ts";
import { AppError } from "../../../shared/errors.ts";
import { mapFields } from "../../../shared/secret-fields.ts";
import { diffConfig } from "../config-diff.ts";
import type { StoredTeam } from "../config-store.ts";
import type { ConsoleDeps } from "../deps.ts";
import { isRemoved, publish } from "../publish.ts";
import { maskOf } from "../seal-teams.ts";
import { type Call, check, json, jsonBody, queryOf, teamOf } from "./request.ts";

/** Each comes with what it changed, which is read from two whole configurations. */
const PAGE_MAX_COUNT = 100;
const PAGE_COUNT = 20;

const ListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(PAGE_MAX_COUNT).default(PAGE_COUNT),
  before: z.coerce.number().int().min(1).default(Number.MAX_SAFE_INTEGER),
  transformation: z.string().min(1).optional(),
});

const DiffQuery = z.strictObject({ against: z.coerce.number().int().min(1).optional() });

const RollbackBody = z.strictObject({
  version: z.int("give the version to go back to").min(1),
  transformation: z.string().min(1).optional(),
});

/** One page of the team's versions, newest first, each with what it changed; with `transformation`, those that changed that script. */
export async function listVersions(call: Call, { store }: ConsoleDeps): Promise<Response> {
  const { limit, before, transformation } = check(ListQuery, queryOf(call.url));
  const team = await teamOf(store, call);
  // One more than asked for: what a version changed is seen from the one before it.
  const rows = await store.versions(team.team, limit + 1, before);
  const shown = rows.slice(0, limit).map((row, index) => ({
    version: row.version,
    created_at: row.createdAt,
    bundle: row.bundle,
    in_force: row.version === team.version,
    removed: isRemoved(row),
    changes: diffConfig(rows[index + 1]?.config ?? null, row.config),
  }));
  const ofScript = `transformations.${transformation}`;
  const versions = shown.filter(
    ({ changes }) =>
      transformation === undefined || changes.some(({ path }) => path === "" || isInside(path, ofScript)),
  );
  const next = rows.length > limit ? (rows[limit - 1]?.version ?? null) : null;
  return json({ team: team.team, versions, next });
}

/** One version's configuration, with masks in the place of secrets, and how it differs from the one `against`, else from the one in force. */
export async function getVersion(call: Call, { store }: ConsoleDeps): Promise<Response> {
  const { against } = check(DiffQuery, queryOf(call.url));
  const team = await teamOf(store, call);
  const version = await versionOf(store, team, Number(call.params.version));
  const other = against === undefined ? team : await versionOf(store, team, against);
  return json({
    team: team.team,
    version: version.version,
    created_at: version.createdAt,
    in_force: version.version === team.version,
    config: version.config,
    against: other.version,
    changes: diffConfig(other.config, version.config),
  });
}

/**
 * Publishes the team, or one of its transformations, as an earlier version had it. That is a new version; nothing is rewritten.
 * Secrets are those stored now: earlier ones are gone.
 */
export async function rollBack(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { version, transformation } = check(RollbackBody, await jsonBody(call.request));
  const team = await teamOf(deps.store, call);
  const earlier = await versionOf(deps.store, team, version);
  const config = await withStoredSecrets(
    deps,
    transformation === undefined ? earlier.config : withScript(team, earlier, transformation),
  );
  const others = (await deps.store.teams()).filter((other) => other.team !== team.team && !isRemoved(other));
  const teams = [...others.map((other) => other.config), config];
  const force = call.url.searchParams.get("force") === "true";
  return json(await publish(deps, { teams }, { force }));
}

async function versionOf(store: ConsoleDeps["store"], team: StoredTeam, version: number): Promise<StoredTeam> {
  const found = Number.isSafeInteger(version) ? await store.version(team.team, version) : null;
  if (found !== null) return found;
  const message = `team ${team.team} has no version ${version}: GET /api/teams/${team.team}/versions lists them`;
  throw new AppError("version_unknown", 404, message, { field: "version" });
}

/** The configuration in force with one script as the earlier version had it, in the place where it is now. */
function withScript(team: StoredTeam, earlier: StoredTeam, id: string): TeamConfig {
  const script = earlier.config.transformations.find((candidate) => candidate.id === id);
  if (script === undefined) {
    const message = `version ${earlier.version} of team ${team.team} has no transformation "${id}"`;
    throw new AppError("transformation_unknown", 404, message, { field: "transformation" });
  }
  const { transformations } = team.config;
  const isThere = transformations.some((candidate) => candidate.id === id);
  return {
    ...team.config,
    transformations: isThere
      ? transformations.map((candidate) => (candidate.id === id ? script : candidate))
      : [...transformations, script],
  };
}

/** An earlier version's masks are of secrets as they were; the ones stored under the same names now take their place. */
async function withStoredSecrets(deps: ConsoleDeps, earlier: TeamConfig): Promise<TeamConfig> {
  const config = structuredClone(earlier);
  const stored = (await deps.store.secrets()).filter(({ team }) => team === config.id);
  for (const { owner, field, holder } of [...secretsOfTeam(config, "", deps.kinds)]) {
    const secret = stored.find((candidate) => candidate.owner === owner && candidate.field === field);
    if (secret === undefined) continue;
    const mask = await maskOf(secret.sealed);
    Object.assign(
      holder,
      mapFields(holder, [field], () => mask),
    );
  }
  return config;
}

function isInside(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}.`);
}
