import { z } from "zod";
import { pathText } from "../../../shared/config-error.ts";
import { AppError, messageOf } from "../../../shared/errors.ts";
import { NOTIFICATIONS } from "../../../shared/notifications.ts";
import type { OutboxApi } from "../../../shared/outbox-api.ts";
import type { ConfigStore, StoredTeam } from "../config-store.ts";
import type { ConsoleDeps } from "../deps.ts";

/** A request that a route has claimed. */
export interface Call {
  request: Request;
  url: URL;
  /** The path's variable parts. */
  params: Record<string, string>;
}

/** A point in time as clients write it. */
export const Time = z.iso.datetime({ offset: true, error: "expected a time such as 2026-01-31T12:00:00Z" });

export function json(body: unknown, status = 200): Response {
  return Response.json(body, { status, headers: { "Cache-Control": "no-store" } });
}

/** Absent fields left out, times in UTC: objects compare them as text. */
export function utcTimes<T extends object>(query: { [K in keyof T]: T[K] | undefined }): T {
  const entries = Object.entries(query).filter(([, value]) => value !== undefined);
  const isTime = (key: string) => key === "since" || key === "until";
  return Object.fromEntries(
    entries.map(([key, value]) => [key, isTime(key) ? new Date(value as string).toISOString() : value]),
  ) as T;
}

/** The request's body. Throws a 400 where it is not JSON. */
export async function jsonBody(request: Request): Promise<unknown> {
  try {
    return JSON.parse(await request.text());
  } catch (error) {
    throw new AppError("invalid_json", 400, `the body is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** Checks what a client sent. Throws a 400 that names the first field at fault. */
export function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = pathText(issue?.path ?? []);
  const detail = issue?.message ?? "not valid";
  throw new AppError("invalid_request", 400, field === "" ? detail : `${field}: ${detail}`, { field });
}

/** The query string as an object; a parameter that is given twice is refused. */
export function queryOf(url: URL): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [key, value] of url.searchParams) {
    if (Object.hasOwn(query, key)) throw new AppError("invalid_request", 400, `${key} is given twice`, { field: key });
    query[key] = value;
  }
  return query;
}

/** Throws a 404 where there is no such team. */
export async function teamOf(store: ConfigStore, call: Call): Promise<StoredTeam> {
  const id = call.params.team ?? "";
  const team = await store.team(id);
  if (team === null) throw new AppError("team_unknown", 404, `there is no team "${id}": GET /api/teams lists them`);
  return team;
}

/** One destination's outbox. Throws a 404 where the team has no such destination. */
export async function outboxOf(
  call: Call,
  { store, objects }: Pick<ConsoleDeps, "store" | "objects">,
  destination: string,
): Promise<{ team: string; outbox: OutboxApi }> {
  const team = await teamOf(store, call);
  const ids = [...(await destinationsOf(store, team)), NOTIFICATIONS];
  if (!ids.includes(destination)) throw new UnknownDestination(team.team, destination, ids);
  return { team: team.team, outbox: objects.outbox(team.team, destination) };
}

class UnknownDestination extends AppError {
  constructor(team: string, destination: string, ids: readonly string[]) {
    const detail = `team ${team} has no destination "${destination}": it has ${ids.filter((id) => id !== NOTIFICATIONS).join(", ") || "none"}`;
    super("destination_unknown", 404, detail, { field: "destination" });
  }
}

/** The team's destinations: those configured, in order, then removed ones whose outbox exists. */
export async function destinationsOf(store: ConfigStore, team: StoredTeam): Promise<string[]> {
  const outboxes = await store.outboxes(team.team);
  const ids = [...team.config.destinations.map(({ id }) => id), ...outboxes.map(({ destination }) => destination)];
  return [...new Set(ids)].filter((id) => id !== NOTIFICATIONS);
}
