import { z } from "zod";
import { settingsOf } from "../../../shared/config.ts";
import { logLine } from "../../../shared/log.ts";
import { NOTIFICATIONS } from "../../../shared/notifications.ts";
import type { ConsoleDeps } from "../deps.ts";
import { askObject, outboxStatuses } from "../object-statuses.ts";
import { type Call, check, destinationsOf, json, jsonBody, outboxOf, teamOf } from "./request.ts";

const REASON_MAX_CHARACTERS = 500;
const PauseBody = z.strictObject({ reason: z.string().min(1).max(REASON_MAX_CHARACTERS).optional() });

/** How each destination is set and how it does. Secrets are masks; a removed one that still has events has no settings. */
export async function listDestinations(call: Call, { store, objects }: ConsoleDeps): Promise<Response> {
  const team = await teamOf(store, call);
  const ids = await destinationsOf(store, team);
  const statuses = await outboxStatuses(objects, team.team, [...ids, NOTIFICATIONS]);
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
  const status = statuses.at(-1);
  const notifications =
    team.config.notifications === undefined
      ? null
      : { ...team.config.notifications, status: { ...status, team: team.team, destination: NOTIFICATIONS } };
  return json({ team: team.team, destinations, notifications });
}

/** Stops sending to one destination until it is resumed; its events go on queueing. */
export async function pauseDestination(call: Call, deps: ConsoleDeps): Promise<Response> {
  const text = await call.request.clone().text();
  const { reason = "paused by an operator" } = check(PauseBody, text === "" ? {} : await jsonBody(call.request));
  const destination = call.params.destination ?? "";
  const { team, outbox } = await outboxOf(call, deps, destination);
  await askObject(`outbox ${team}/${destination}`, () => outbox.pause({ team, destination, reason }));
  logLine({ message: "destination paused", team, destination, reason });
  return json({ team, destination, paused: true });
}

/** Sends to it again: after a pause, and after a 410 of its own. */
export async function resumeDestination(call: Call, deps: ConsoleDeps): Promise<Response> {
  const destination = call.params.destination ?? "";
  const { team, outbox } = await outboxOf(call, deps, destination);
  await askObject(`outbox ${team}/${destination}`, () => outbox.resume());
  logLine({ message: "destination resumed", team, destination });
  return json({ team, destination, paused: false });
}
