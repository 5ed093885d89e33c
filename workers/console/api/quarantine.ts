import { z } from "zod";
import { AppError } from "../../../shared/errors.ts";
import type { QuarantinePage, QuarantineSelection } from "../../../shared/lane-api.ts";
import { logLine } from "../../../shared/log.ts";
import type { ConsoleDeps } from "../deps.ts";
import { askAll, askObject } from "../object-statuses.ts";
import { type Call, check, json, jsonBody, queryOf, teamOf } from "./request.ts";

/** A page that a person can still read, and that fits one RPC answer. */
const PAGE_MAX_COUNT = 1_000;
const PAGE_COUNT = 100;
/** Ids travel in one SQL statement. */
const IDS_MAX_COUNT = 1_000;
const SAMPLES_MAX_COUNT = 100;
const SAMPLES_COUNT = 10;

/** A lane's name and its own number for the event: unique in the team, and in the order of the pages. */
const Id = z.string().regex(/^.+:\d{1,15}$/, "expected an id as GET …/quarantine lists it");

const filters = {
  script: z.string().min(1).optional(),
  event: z.string().min(1).optional(),
  distinct_id: z.string().min(1).optional(),
};

const ListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(PAGE_MAX_COUNT).optional(),
  after: Id.optional(),
  ...filters,
});

const SelectionBody = z.strictObject({
  ids: z.array(Id).min(1, "an empty list selects nothing: leave ids out to select all").max(IDS_MAX_COUNT).optional(),
  ...filters,
});

const SamplesQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(SAMPLES_MAX_COUNT).optional() });

/** One page of a team's quarantined events, lane by lane, oldest first in each. */
export async function listQuarantine(call: Call, { store, objects }: ConsoleDeps): Promise<Response> {
  const { limit = PAGE_COUNT, after, ...rest } = check(ListQuery, queryOf(call.url));
  const { team } = await teamOf(store, call);
  const selection = defined(rest);
  const from = after === undefined ? { lane: "", id: 0 } : idOf(after);
  const quarantined: (Omit<QuarantinePage["quarantined"][number], "id"> & { id: string })[] = [];
  let [total, hasMore] = [0, false];
  for (const { lane } of await store.lanes(team)) {
    // Lanes that are shown already, and those beyond the page, only count.
    const room = lane < from.lane || hasMore ? 0 : limit - quarantined.length;
    const query = {
      ...selection,
      limit: Math.max(1, room),
      ...(lane === from.lane ? { after: from.id } : {}),
    };
    const page = await askObject(`lane ${lane}`, () => objects.lane(lane).quarantine(query));
    total += page.total;
    const shown = room === 0 ? [] : page.quarantined;
    quarantined.push(...shown.map((event) => ({ ...event, id: `${lane}:${event.id}` })));
    if (lane >= from.lane) hasMore ||= page.next !== null || page.quarantined.length > shown.length;
  }
  return json({ team, quarantined, total, next: hasMore ? (quarantined.at(-1)?.id ?? null) : null });
}

/** Puts quarantined events through the scripts again: all of the team's, or those selected. */
export async function replayQuarantine(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { team, lanes } = await selected(call, deps);
  const answers = await askAll(
    lanes.map(({ lane, selection }) => ({
      name: `lane ${lane}`,
      ask: () => deps.objects.lane(lane).release(selection),
    })),
  );
  const replayed = answers.reduce((sum, { released }) => sum + released, 0);
  logLine({ message: "quarantined events replayed", team, replayed });
  return json({ team, replayed });
}

/** Ends quarantined events: all of the team's, or those selected. */
export async function discardQuarantine(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { team, lanes } = await selected(call, deps);
  const answers = await askAll(
    lanes.map(({ lane, selection }) => ({
      name: `lane ${lane}`,
      ask: () => deps.objects.lane(lane).discard(selection),
    })),
  );
  const discarded = answers.reduce((sum, answer) => sum + answer.discarded, 0);
  logLine({ message: "quarantined events discarded", team, discarded });
  return json({ team, discarded });
}

/** The team's newest events as capture accepted them, newest first. */
export async function listSamples(call: Call, { store, objects }: ConsoleDeps): Promise<Response> {
  const { limit = SAMPLES_COUNT } = check(SamplesQuery, queryOf(call.url));
  const { team } = await teamOf(store, call);
  const lanes = await store.lanes(team);
  const found = await askAll(
    lanes.map(({ lane }) => ({ name: `lane ${lane}`, ask: () => objects.lane(lane).samples(limit) })),
  );
  const newest = found
    .flat()
    .toSorted((a, b) => (a.received_at < b.received_at ? 1 : a.received_at > b.received_at ? -1 : 0));
  return json({ team, samples: newest.slice(0, limit) });
}

/** What the body selects, lane by lane. */
async function selected(
  call: Call,
  { store }: ConsoleDeps,
): Promise<{ team: string; lanes: { lane: string; selection: QuarantineSelection }[] }> {
  const { ids, ...rest } = check(SelectionBody, await jsonBody(call.request));
  const { team } = await teamOf(store, call);
  const lanes = (await store.lanes(team)).map(({ lane }) => lane);
  const selection = defined(rest);
  if (ids === undefined) return { team, lanes: lanes.map((lane) => ({ lane, selection })) };
  const byLane = new Map<string, number[]>();
  for (const { lane, id } of ids.map(idOf)) {
    if (!lanes.includes(lane)) {
      const detail = `ids: team ${team} has no lane "${lane}": take ids as GET /api/teams/${team}/quarantine lists them`;
      throw new AppError("invalid_request", 400, detail, { field: "ids" });
    }
    byLane.set(lane, [...(byLane.get(lane) ?? []), id]);
  }
  return { team, lanes: [...byLane].map(([lane, own]) => ({ lane, selection: { ...selection, ids: own } })) };
}

function idOf(text: string): { lane: string; id: number } {
  const border = text.lastIndexOf(":");
  return { lane: text.slice(0, border), id: Number(text.slice(border + 1)) };
}

/** Absent fields left out. */
function defined(
  filter: { [K in keyof QuarantineSelection]: QuarantineSelection[K] | undefined },
): QuarantineSelection {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}
