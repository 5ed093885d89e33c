import type { LaneStatus, Refused } from "../../shared/lane-api.ts";
import type { TeamSnapshot } from "../../shared/snapshot.ts";
import type { Lane } from "./lane.ts";
import type { Pump } from "./pump.ts";
import type { Quarantine } from "./quarantine.ts";
import type { ScriptHealth } from "./script-health.ts";

/** What a lane is made of. */
export interface LaneParts {
  name: string | null;
  team: string | null;
  /** Null where the configuration cannot be read, or has no such team. */
  snapshot: Pick<TeamSnapshot, "destinations"> | null;
  lane: Lane;
  quarantine: Quarantine;
  health: ScriptHealth;
  pump: Pick<Pump, "trouble">;
  refused: Refused;
}

export function laneStatus({ name, team, snapshot, lane, quarantine, health, pump, refused }: LaneParts): LaneStatus {
  const oldestAt = lane.oldestAt();
  // What no destination gets waits for none.
  const pendingAfter = (through: number) => lane.nextSeq - 1 - through - quarantine.countAbove(through);
  const pending: Record<string, number> = {};
  for (const { id } of snapshot?.destinations ?? []) pending[id] = pendingAfter(lane.cursor);
  for (const [id, through] of lane.parked) pending[id] = pendingAfter(through);
  return {
    lane: name ?? "",
    team,
    nextSeq: lane.nextSeq,
    accepted: lane.nextSeq - 1 - quarantine.released,
    duplicates: lane.duplicates,
    refused,
    backlog: lane.backlog,
    backlogBytes: lane.backlogBytes,
    oldestAt: oldestAt === null ? null : new Date(oldestAt).toISOString(),
    pending,
    quarantined: quarantine.count,
    discarded: quarantine.discarded,
    scripts: health.statuses(),
    trouble: pump.trouble,
  };
}
