import { messageOf } from "../../shared/errors.ts";
import { lineStarts } from "../../shared/ndjson.ts";
import type { OwnShare } from "../../shared/sandbox-api.ts";
import { scriptFailure } from "../../shared/script-failure.ts";
import type { Bundle, SnapshotReader, TeamSnapshot } from "../../shared/snapshot.ts";
import type { RunOutcome } from "../capture/sandbox-client.ts";
import { isComplete, type Reshaped } from "./reshaped.ts";

export interface ReshapeDeps {
  snapshots: Pick<SnapshotReader, "team">;
  /** Runs the destination's script of the bundle alone. Never throws for what a sandbox can do. */
  run: (bundle: Bundle, destination: string, events: Uint8Array) => Promise<RunOutcome>;
}

/** Runs a destination's script, as it is in force now, on events that it failed on before; without one they stay as they are. */
export async function reshape(
  deps: ReshapeDeps,
  team: string,
  destination: string,
  events: Uint8Array,
): Promise<Reshaped | { problem: string }> {
  const count = lineStarts(events).length - 1;
  let snapshot: TeamSnapshot | null;
  try {
    snapshot = await deps.snapshots.team(team);
  } catch (error) {
    return { problem: `the configuration of team "${team}" cannot be read now: ${messageOf(error)}` };
  }
  const bundle = snapshot?.bundle ?? null;
  if (bundle === null || !Object.hasOwn(bundle.shapers ?? {}, destination)) {
    return { ran: count, share: allOf(count), lines: events };
  }
  const outcome = await deps.run(bundle, destination, events);
  if (outcome.outcome !== "ran") {
    return { problem: `the script of destination "${destination}" could not be run: ${outcome.message}` };
  }
  const { own, ran = count } = outcome.result;
  const share = own?.[destination];
  if (share === undefined) return { problem: `the sandbox has no answer for destination "${destination}"` };
  const dead = share.dead.map(({ line, message }) => ({ line, message: scriptFailure(message) }));
  const made = { ran, share: { ...share, dead }, lines: outcome.events };
  if (ran > count || !isComplete(made)) return { problem: "the sandbox's answer leaves out some of the events" };
  return made;
}

function allOf(count: number): OwnShare {
  return { count, sources: Array.from({ length: count }, (_, i) => i), dropped: [], dead: [] };
}
