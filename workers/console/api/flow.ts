import { wholeBook } from "../../../shared/books.ts";
import type { LaneStatus, Refused } from "../../../shared/lane-api.ts";
import { addRefused } from "../../../shared/refused.ts";
import type { ConsoleDeps } from "../deps.ts";
import { laneStatuses, outboxStatuses } from "../object-statuses.ts";
import { type Call, destinationsOf, json, teamOf } from "./request.ts";

/** The team's books (invariant 5), in events. A removed destination is shown for as long as it has any left. */
export async function getFlow(call: Call, { store, objects }: ConsoleDeps): Promise<Response> {
  const team = await teamOf(store, call);
  const ids = await destinationsOf(store, team);
  const configured = new Set(team.config.destinations.map(({ id }) => id));
  const lanes = await laneStatuses(
    objects,
    (await store.lanes(team.team)).map(({ lane }) => lane),
  );
  const outboxes = await outboxStatuses(objects, team.team, ids);
  const shown = ids
    .map((id, index) => ({
      id,
      book: wholeBook(id, lanes, outboxes[index] ?? null),
      // The quarantine is the team's: it does not keep a removed destination in the list.
      dead: outboxes[index]?.book.dead ?? 0,
      emitted: outboxes[index]?.emitted ?? 0,
      replayed: outboxes[index]?.replayed ?? 0,
    }))
    .filter(({ id, book, dead }) => configured.has(id) || book.pending + dead > 0);
  return json({
    team: team.team,
    destinations: Object.fromEntries(shown.map(({ id, book }) => [id, book])),
    emitted: Object.fromEntries(shown.map(({ id, emitted }) => [id, emitted])),
    replayed: Object.fromEntries(shown.map(({ id, replayed }) => [id, replayed])),
    refused: refusedBy(lanes),
    removed: shown.map(({ id }) => id).filter((id) => !configured.has(id)),
    lanes: lanes.map(withoutDetails),
  });
}

/** The scripts' failures and logs are in `transformations`. */
function withoutDetails({ scripts, ...lane }: LaneStatus) {
  const brief = scripts.map(({ failures: _failures, logs: _logs, histogram: _histogram, ...script }) => script);
  return { ...lane, scripts: brief };
}

/** What capture has answered as taken and not stored, by source and reason: it is not among what was accepted. */
function refusedBy(lanes: readonly LaneStatus[]): Refused {
  const refused: Refused = {};
  for (const lane of lanes) addRefused(refused, lane.refused);
  return refused;
}
