import { z } from "zod";
import { AppError } from "../../../shared/errors.ts";
import { logLine } from "../../../shared/log.ts";
import { NOTIFICATIONS } from "../../../shared/notifications.ts";
import type { ArchiveReplay, LaneReplay, ReplayStatus, ReplaysApi } from "../../../shared/replay-api.ts";
import type { StoredTeam } from "../config-store.ts";
import type { ConsoleDeps } from "../deps.ts";
import { askAll } from "../object-statuses.ts";
import { type Call, check, destinationsOf, json, jsonBody, Time, teamOf, utcTimes } from "./request.ts";

/** More than a replay can move. */
const RATE_MAX = 1_000_000;
export const Rate = z.number().positive().max(RATE_MAX);

/** One replay; one from lanes is a job in each of them. */
interface ReplayView extends Omit<ReplayStatus, "source"> {
  sources: string[];
}

const ReplayBody = z.strictObject({
  destination: z.string("give the destination's id").min(1, "give the destination's id"),
  since: Time,
  until: Time,
  from: z.string().min(1).optional(),
  event: z.string().min(1).optional(),
  events_per_second: Rate.optional(),
});

/** Sends a destination what the team's lanes, or an archive, still have of a time, once more. */
export async function startReplay(call: Call, deps: ConsoleDeps): Promise<Response> {
  const body = utcTimes<z.infer<typeof ReplayBody>>(check(ReplayBody, await jsonBody(call.request)));
  const { destination, since, until, from: archive, ...rest } = body;
  if (since >= until) throw new AppError("invalid_request", 400, "until: must be after since", { field: "until" });
  await configuredOf(call, deps, destination, "destination");
  const { team } = await teamOf(deps.store, call);
  const common = { id: deps.newId(), team, destination, since, until, ...rest };
  const parts =
    archive === undefined
      ? await startInLanes(deps, { from: "lane", ...common } as LaneReplay)
      : await startFromArchive(call, deps, { from: "archive", archive, ...common } as ArchiveReplay);
  const replay = viewOf(parts);
  const { id, state, total, replayed } = replay;
  const message = "events of a time are replayed";
  logLine({ message, team, destination, since, until, replay: id, state, total, replayed });
  return json({ team, destination, replay }, state === "running" ? 202 : 200);
}

async function startFromArchive(call: Call, deps: ConsoleDeps, request: ArchiveReplay): Promise<ReplayStatus[]> {
  const { team, destination, archive } = request;
  const { kind } = await configuredOf(call, deps, archive, "from");
  if (kind !== "s3") {
    const detail = `from: destination "${archive}" is of kind ${kind}, which keeps nothing to replay`;
    throw new AppError("no_archive", 400, detail, { field: "from" });
  }
  const ask = () => deps.objects.outbox(team, destination).replay(request);
  return askAll([{ name: `outbox ${team}/${destination}`, ask }]);
}

async function startInLanes(deps: ConsoleDeps, request: LaneReplay): Promise<ReplayStatus[]> {
  const { team } = request;
  const lanes = await deps.store.lanes(team);
  if (lanes.length === 0) {
    throw new AppError("nothing_to_replay", 409, `team ${team} has no lane yet: nothing was ever sent to it`);
  }
  return askAll(
    lanes.map(({ lane }) => ({ name: `lane ${lane}`, ask: () => deps.objects.lane(lane).replay(request) })),
  );
}

/** Those that run and the last ones that have ended, newest first. */
export async function listReplays(call: Call, deps: ConsoleDeps): Promise<Response> {
  const team = await teamOf(deps.store, call);
  return json({ team: team.team, replays: await replaysOf(deps, team) });
}

export async function getReplay(call: Call, deps: ConsoleDeps): Promise<Response> {
  const team = await teamOf(deps.store, call);
  const replay = (await replaysOf(deps, team)).find(({ id }) => id === call.params.replay);
  if (replay === undefined) throw new UnknownReplay(team.team, call.params.replay ?? "");
  return json({ team: team.team, replay });
}

/** Ends it where it is: what has been replayed stays replayed. */
export async function cancelReplay(call: Call, deps: ConsoleDeps): Promise<Response> {
  const team = await teamOf(deps.store, call);
  const id = call.params.replay ?? "";
  const holders = await holdersOf(deps, team);
  const ended = await askAll(holders.map(({ name, object }) => ({ name, ask: () => object.cancelReplay(id) })));
  const replay = (await replaysOf(deps, team)).find((one) => one.id === id);
  if (replay === undefined) throw new UnknownReplay(team.team, id);
  if (ended.includes(true)) logLine({ message: "replay cancelled", team: team.team, replay: id });
  return json({ team: team.team, replay });
}

/** Throws a 404 unless the team's configuration has this destination: a removed one takes nothing more. */
export async function configuredOf(
  call: Call,
  { store }: Pick<ConsoleDeps, "store">,
  destination: string,
  field: string,
): Promise<StoredTeam["config"]["destinations"][number]> {
  const team = await teamOf(store, call);
  const found = team.config.destinations.find(({ id }) => id === destination);
  if (found !== undefined) return found;
  const ids = team.config.destinations.map(({ id }) => id).join(", ") || "none";
  const detail = `${field}: team ${team.team} has no destination "${destination}": it has ${ids}`;
  throw new AppError("destination_unknown", 404, detail, { field });
}

async function replaysOf(deps: ConsoleDeps, team: StoredTeam): Promise<ReplayView[]> {
  const holders = await holdersOf(deps, team);
  const all = (await askAll(holders.map(({ name, object }) => ({ name, ask: () => object.replays() })))).flat();
  const byId = Map.groupBy(all, ({ id }) => id);
  const views = [...byId.values()].map(viewOf);
  return views.toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1));
}

async function holdersOf(
  { store, objects }: Pick<ConsoleDeps, "store" | "objects">,
  team: StoredTeam,
): Promise<{ name: string; object: ReplaysApi }[]> {
  const destinations = [...(await destinationsOf(store, team)), NOTIFICATIONS];
  const lanes = await store.lanes(team.team);
  return [
    ...destinations.map((id) => ({ name: `outbox ${team.team}/${id}`, object: objects.outbox(team.team, id) })),
    ...lanes.map(({ lane }) => ({ name: `lane ${lane}`, object: objects.lane(lane) })),
  ];
}

/** The parts of one replay, added up. It runs while any of them does. */
function viewOf(parts: readonly ReplayStatus[]): ReplayView {
  const [{ source: _, ...first }] = parts as [ReplayStatus];
  const sum = (read: (part: ReplayStatus) => number) => parts.reduce((all, part) => all + read(part), 0);
  const isKnown = parts.every(({ total }) => total !== null);
  const running = parts.find(({ state }) => state === "running");
  const ends = parts.flatMap(({ ended_at }) => (ended_at === null ? [] : [ended_at]));
  return {
    ...first,
    sources: parts.map(({ source }) => source),
    state: running?.state ?? parts.find(({ state }) => state === "cancelled")?.state ?? "done",
    ended_at: running === undefined ? (ends.sort().at(-1) ?? null) : null,
    total: isKnown ? sum(({ total }) => total ?? 0) : null,
    seen: sum(({ seen }) => seen),
    replayed: sum(({ replayed }) => replayed),
    problem: parts.find(({ problem }) => problem !== null)?.problem ?? null,
  };
}

class UnknownReplay extends AppError {
  constructor(team: string, id: string) {
    const detail = `team ${team} has no replay "${id}": GET /api/teams/${team}/replays lists those that run and the last ones`;
    super("replay_unknown", 404, detail);
  }
}
