/**
 * Publishing a configuration: the whole document is checked and compiled before anything is written, then written to D1 at once,
 * then to KV, then announced to the objects that exist. D1 is the truth; KV and the announcement may fail, which is reported as a
 * warning and mended by sending the document again.
 */
import { type ConfigDocument, parseConfig, type TeamConfig, tokensIn } from "../../shared/config.ts";
import { ConfigError, type ConfigProblem } from "../../shared/config-error.ts";
import { AppError, messageOf } from "../../shared/errors.ts";
import { logLine } from "../../shared/log.ts";
import type { TeamSnapshot } from "../../shared/snapshot.ts";
import { compileProblems } from "./compile-problems.ts";
import { compileSnapshot } from "./compile-snapshot.ts";
import { type ConfigChange, diffConfig } from "./config-diff.ts";
import type { NewVersion, SealedSecret, StoredTeam } from "./config-store.ts";
import type { ConsoleDeps } from "./deps.ts";
import { heldBack } from "./held-back.ts";
import { type SealedTeam, sealTeams } from "./seal-teams.ts";
import { type SnapshotSource, syncSnapshots } from "./sync-snapshots.ts";
import { wakeTeam } from "./wake-team.ts";

export interface Published {
  changed: boolean;
  /** Teams that changed. */
  teams: Record<string, { version: number; removed?: true; changes: ConfigChange[] }>;
  /** What did not work after the configuration was in force; sending it again mends it. */
  warnings: string[];
}

/** A version that is ready to be written, or stands already. */
interface Prepared extends NewVersion {
  before: StoredTeam | null;
  changes: ConfigChange[];
  removed: boolean;
}

export async function publish(deps: ConsoleDeps, body: unknown, options: { force: boolean }): Promise<Published> {
  const document = parseConfig(body, deps.kinds);
  const stored = new Map((await deps.store.teams()).map((team) => [team.team, team]));
  const prepared = await prepare(deps, document, stored);
  const changed = prepared.filter((team) => team.changes.length > 0);
  if (!options.force) await refuseToStrand(deps, changed);
  if (changed.length > 0) await deps.store.write(changed, new Date(deps.clock.now()).toISOString());
  const removedBefore = [...stored.values()].filter(
    (team) => isRemoved(team) && !prepared.some((now) => now.config.id === team.team),
  );
  const warnings = await announce(
    deps,
    [...prepared.map(({ snapshot }) => ready(snapshot)), ...removedBefore.map((team) => removedEarlier(deps, team))],
    changed,
  );
  const teams = changed.map(({ snapshot, removed, changes }) => [
    snapshot.team,
    { version: snapshot.version, ...(removed ? { removed: true as const } : {}), changes },
  ]);
  for (const { snapshot, changes } of changed) {
    const { team, version } = snapshot;
    logLine({ message: "configuration published", team, version, changes: changes.length });
  }
  return { changed: changed.length > 0, teams: Object.fromEntries(teams), warnings };
}

async function prepare(
  deps: ConsoleDeps,
  document: ConfigDocument,
  stored: ReadonlyMap<string, StoredTeam>,
): Promise<Prepared[]> {
  const sealed = await sealTeams(deps, document.teams);
  const snapshots = await compileAll(deps, document, stored, (team) => sealed.get(team)?.secrets ?? []);
  const prepared: Prepared[] = [];
  for (const [index, team] of document.teams.entries()) {
    const before = stored.get(team.id) ?? null;
    const { config, secrets } = sealed.get(team) as SealedTeam;
    const snapshot = snapshots[index] as TeamSnapshot;
    const isBack = before !== null && isRemoved(before);
    const changes = diffConfig(before === null || isBack ? null : before.config, config);
    const bundle = snapshot.bundle?.hash ?? null;
    // The same scripts compile to another bundle after an upgrade of the compiler: that is a version too.
    if (changes.length === 0 && before?.bundle !== bundle) {
      changes.push({ path: "bundle", before: before?.bundle ?? null, after: bundle });
    }
    if (changes.length === 0 && before !== null) snapshot.version = before.version;
    prepared.push({ before, config, snapshot, secrets, changes, removed: false });
  }
  const kept = new Set(document.teams.map((team) => team.id));
  for (const before of stored.values()) {
    if (!kept.has(before.team) && !isRemoved(before)) prepared.push(await prepareRemoval(deps, before));
  }
  return prepared;
}

/** A removed team keeps its scripts, destinations and secrets, so that what it has sent drains; it loses its tokens. */
async function prepareRemoval(deps: ConsoleDeps, before: StoredTeam): Promise<Prepared> {
  return {
    before,
    config: { ...before.config, tokens: [], sources: [] },
    snapshot: { ...(await deps.store.snapshot(before.team)), version: before.version + 1, tokens: [], sources: [] },
    secrets: null,
    changes: diffConfig(before.config, null),
    removed: true,
  };
}

export function isRemoved(team: StoredTeam): boolean {
  return tokensIn(team.config).next().done === true;
}

/** Every team's snapshot, numbered as its next version. Throws `ConfigError` with every script that does not compile. */
async function compileAll(
  deps: ConsoleDeps,
  document: ConfigDocument,
  stored: ReadonlyMap<string, StoredTeam>,
  secretsOf: (team: TeamConfig) => SealedSecret[],
): Promise<TeamSnapshot[]> {
  const problems: ConfigProblem[] = [];
  const snapshots: TeamSnapshot[] = [];
  for (const [index, team] of document.teams.entries()) {
    try {
      const version = (stored.get(team.id)?.version ?? 0) + 1;
      snapshots.push(await compileSnapshot(team, version, deps.kinds, deps.compile, secretsOf(team)));
    } catch (error) {
      problems.push(...compileProblems(error, team, `teams[${index}]`));
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return snapshots;
}

/**
 * Refuses to take away a destination that events still wait for, and to make another kind of it, which might not be able to read what was
 * meant for the first. A removed team's go on draining and need no leave.
 */
async function refuseToStrand(deps: ConsoleDeps, changed: readonly Prepared[]): Promise<void> {
  const held = await Promise.all(
    changed
      .filter((team) => !team.removed)
      .flatMap(({ before, config }) => {
        const kept = new Map(config.destinations.map(({ id, kind }) => [id, kind]));
        const gone = before?.config.destinations.filter(({ id, kind }) => kept.get(id) !== kind) ?? [];
        return gone.map((destination) => heldBack(deps, config.id, destination.id));
      }),
  );
  const full = held.filter(({ pending, dead }) => pending + dead > 0);
  if (full.length > 0) throw new DestinationsNotEmpty(full);
}

/** A destination that would be removed still has events. */
export class DestinationsNotEmpty extends AppError {
  readonly destinations: readonly { team: string; destination: string; pending: number; dead: number }[];

  constructor(destinations: readonly { team: string; destination: string; pending: number; dead: number }[]) {
    const list = destinations
      .map((held) => `${held.team}/${held.destination} (${held.pending} pending events, ${held.dead} dead letters)`)
      .join(", ");
    super(
      "destination_not_empty",
      409,
      `removing these destinations, or making them another kind, would strand their events: ${list}; let them drain or replay them first, or repeat with ?force=true`,
    );
    this.destinations = destinations;
  }
}

/** Tells KV and the teams' objects. What fails is a warning: D1 has the configuration already. */
async function announce(
  deps: ConsoleDeps,
  all: readonly SnapshotSource[],
  changed: readonly Prepared[],
): Promise<string[]> {
  const warnings: string[] = [];
  try {
    await syncSnapshots(deps.snapshots, all);
  } catch (error) {
    warnings.push(
      `the edge may see the old configuration, because KV could not be written (${messageOf(error)}): send it again`,
    );
  }
  for (const { snapshot } of changed) warnings.push(...(await wakeTeam(deps, snapshot.team)));
  for (const warning of warnings) logLine({ message: "publishing was not complete", warning });
  return warnings;
}

function ready(snapshot: TeamSnapshot): SnapshotSource {
  const { team, version, tokens } = snapshot;
  return { team, version, tokens, load: async () => snapshot };
}

/** Had KV failed when the team was removed, its tokens would work to this day: so it is compared each time, which is one read. */
function removedEarlier(deps: ConsoleDeps, { team, version }: StoredTeam): SnapshotSource {
  return { team, version, tokens: [], load: () => deps.store.snapshot(team) };
}
