import { z } from "zod";
import { AppError } from "../../../shared/errors.ts";
import { logLine } from "../../../shared/log.ts";
import type { DeadLetterQuery, DeadLetterSelection } from "../../../shared/outbox-api.ts";
import type { ConsoleDeps } from "../deps.ts";
import { askObject } from "../object-statuses.ts";
import { type Call, check, json, jsonBody, outboxOf, queryOf } from "./request.ts";

/** A page that a person can still read, and that fits one RPC answer. */
const PAGE_MAX_COUNT = 1_000;
/** Ids travel in one SQL statement. */
const IDS_MAX_COUNT = 1_000;

const Destination = z.string("give the destination's id").min(1, "give the destination's id");
const Time = z.iso.datetime({ offset: true, error: "expected a time such as 2026-01-31T12:00:00Z" });
const filters = {
  event: z.string().min(1).optional(),
  distinct_id: z.string().min(1).optional(),
  since: Time.optional(),
  until: Time.optional(),
};

const ListQuery = z.strictObject({
  destination: Destination,
  limit: z.coerce.number().int().min(1).max(PAGE_MAX_COUNT).optional(),
  after: z.coerce.number().int().min(0).optional(),
  ...filters,
});

const ReplayBody = z.strictObject({
  destination: Destination,
  ids: z
    .array(z.int())
    .min(1, "an empty list selects nothing: leave ids out to replay all")
    .max(IDS_MAX_COUNT)
    .optional(),
  ...filters,
});

/** One page of a destination's dead letters, oldest first. */
export async function listDeadLetters(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { destination, ...query } = check(ListQuery, queryOf(call.url));
  const { team, outbox } = await outboxOf(call, deps, destination);
  const page = await askObject(`outbox ${team}/${destination}`, () => outbox.deadLetters(utc(query)));
  return json({ team, destination, ...page });
}

/** Puts dead letters back into their queue: all of the destination's, or those selected. */
export async function replayDeadLetters(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { destination, ...selection } = check(ReplayBody, await jsonBody(call.request));
  const { team, outbox } = await outboxOf(call, deps, destination);
  const answer = await askObject(`outbox ${team}/${destination}`, () => outbox.replay(utc(selection)));
  const { replayed, problem } = answer;
  logLine({
    message: "dead letters replayed",
    team,
    destination,
    replayed,
    ...(problem === undefined ? {} : { problem }),
  });
  if (problem !== undefined) {
    const rest = `${replayed} dead letters were replayed; those that the destination's script has to run on again stay`;
    throw new AppError("script_not_run", 503, `${problem}. ${rest}: replay them later`);
  }
  return json({ team, destination, replayed });
}

/** Absent fields left out, times in UTC: outboxes compare them as text. */
function utc(
  query: { [K in keyof DeadLetterQuery]: DeadLetterQuery[K] | undefined },
): DeadLetterSelection & DeadLetterQuery {
  const entries = Object.entries(query).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      key === "since" || key === "until" ? new Date(value as string).toISOString() : value,
    ]),
  );
}
