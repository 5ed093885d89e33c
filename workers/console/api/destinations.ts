import { settingsOf } from "../../../shared/config.ts";
import type { ConsoleDeps } from "../deps.ts";
import { outboxStatuses } from "../object-statuses.ts";
import { type Call, destinationsOf, json, teamOf } from "./request.ts";

/** How each destination is set and how it does. Secrets are masks; a removed one that still has events has no settings. */
export async function listDestinations(call: Call, { store, objects }: ConsoleDeps): Promise<Response> {
  const team = await teamOf(store, call);
  const ids = await destinationsOf(store, team);
  const statuses = await outboxStatuses(objects, team.team, ids);
  const destinations = ids.flatMap((id, index) => {
    const config = team.config.destinations.find((destination) => destination.id === id);
    const status = statuses[index];
    if (status === undefined || (config === undefined && status.book.pending + status.book.dead === 0)) return [];
    return {
      id,
      kind: config?.kind ?? null,
      removed: config === undefined,
      settings: config === undefined ? null : settingsOf(config),
      filter: config?.filter ?? null,
      // An outbox that was never used does not know its own name.
      status: { ...status, team: team.team, destination: id },
    };
  });
  return json({ team: team.team, destinations });
}
