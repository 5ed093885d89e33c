import { waitingInLanes } from "../../shared/books.ts";
import type { ConsoleDeps } from "./deps.ts";
import { laneStatuses, outboxStatuses } from "./object-statuses.ts";

/** Events that a destination still has. Throws `ObjectsUnreachable`. */
export async function heldBack(
  { store, objects }: Pick<ConsoleDeps, "store" | "objects">,
  team: string,
  destination: string,
): Promise<{ team: string; destination: string; pending: number; dead: number }> {
  const names = (await store.lanes(team)).map(({ lane }) => lane);
  const lanes = await laneStatuses(objects, names);
  const [outbox] = await outboxStatuses(objects, team, [destination]);
  // What is in the lanes' quarantine is not the destination's: it stays where it is.
  const { pending = 0, dead = 0 } = outbox?.book ?? {};
  return { team, destination, pending: pending + waitingInLanes(destination, lanes, outbox ?? null), dead };
}
