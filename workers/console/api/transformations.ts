import type { LaneStatus, ScriptStatus } from "../../../shared/lane-api.ts";
import type { ConsoleDeps } from "../deps.ts";
import { laneStatuses } from "../object-statuses.ts";
import { type Call, json, teamOf } from "./request.ts";

/** How one script does, over all of the team's lanes. */
interface ScriptHealth {
  id: string;
  /** Events that it threw on or ran out of fuel on. */
  errors: number;
  /** Times that the sandbox process had to be killed while it ran. */
  kills: number;
  /** Taken out of the chain as it stands, because it killed the sandbox again and again. */
  quarantined: boolean;
  last_error: string | null;
  /** Lanes that have taken it out. */
  quarantined_in: string[];
}

/** The team's scripts in chain order, each with its record. */
export async function listTransformations(call: Call, { store, objects }: ConsoleDeps): Promise<Response> {
  const team = await teamOf(store, call);
  const lanes = await laneStatuses(
    objects,
    (await store.lanes(team.team)).map(({ lane }) => lane),
  );
  const transformations = team.config.transformations.map(({ id, file, on_error, inputs }) => ({
    ...scriptHealth(id, lanes, team.bundle),
    file: file ?? null,
    on_error,
    inputs,
  }));
  return json({ team: team.team, version: team.version, bundle: team.bundle, transformations });
}

/** Counts hold for all versions of the script; quarantine and the last error for the one in force where that has any. */
function scriptHealth(id: string, lanes: readonly LaneStatus[], bundle: string | null): ScriptHealth {
  const entries = lanes.flatMap(({ lane, scripts }) =>
    scripts.filter((script) => script.id === id).map((script) => ({ lane, ...script })),
  );
  const current = entries.filter((entry) => entry.bundle === bundle);
  const lastOf = (list: readonly ScriptStatus[]) => list.findLast((entry) => entry.lastError !== null)?.lastError;
  const quarantinedIn = current.filter((entry) => entry.quarantined).map((entry) => entry.lane);
  return {
    id,
    errors: entries.reduce((sum, entry) => sum + entry.errors, 0),
    kills: entries.reduce((sum, entry) => sum + entry.kills, 0),
    quarantined: quarantinedIn.length > 0,
    last_error: lastOf(current) ?? lastOf(entries) ?? null,
    quarantined_in: quarantinedIn,
  };
}
