import { z } from "zod";
import { AppError } from "../../../shared/errors.ts";
import { logLine } from "../../../shared/log.ts";
import type { DeadLetterPage, DeadLetterQuery } from "../../../shared/outbox-api.ts";
import type { DeadLetterReplay } from "../../../shared/replay-api.ts";
import type { ConsoleDeps } from "../deps.ts";
import { askObject } from "../object-statuses.ts";
import { configuredOf, Rate } from "./replays.ts";
import { type Call, check, json, jsonBody, outboxOf, queryOf, Time, utcTimes as utc } from "./request.ts";

/** A page that a person can still read, and that fits one RPC answer. */
const PAGE_MAX_COUNT = 1_000;
/** Ids travel in one SQL statement. */
const IDS_MAX_COUNT = 1_000;
const REASON_MAX_CHARACTERS = 500;

const Destination = z.string("give the destination's id").min(1, "give the destination's id");
const filters = {
  event: z.string().min(1).optional(),
  distinct_id: z.string().min(1).optional(),
  reason: z.string().min(1).max(REASON_MAX_CHARACTERS).optional(),
  since: Time.optional(),
  until: Time.optional(),
};

const ListQuery = z.strictObject({
  destination: Destination,
  limit: z.coerce.number().int().min(1).max(PAGE_MAX_COUNT).optional(),
  after: z.coerce.number().int().min(0).optional(),
  ...filters,
});

const ExportQuery = z.strictObject({ destination: Destination, ...filters });

const DiscardBody = z.strictObject({
  destination: Destination,
  ids: z
    .array(z.int())
    .min(1, "an empty list selects nothing: leave ids out to select all")
    .max(IDS_MAX_COUNT)
    .optional(),
  ...filters,
});

const ReplayBody = DiscardBody.extend({ to: Destination.optional(), events_per_second: Rate.optional() });

/** One page of a destination's dead letters, oldest first. */
export async function listDeadLetters(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { destination, ...query } = check(ListQuery, queryOf(call.url));
  const { team, outbox } = await outboxOf(call, deps, destination);
  const page = await askObject(`outbox ${team}/${destination}`, () => outbox.deadLetters(utc(query)));
  return json({ team, destination, ...page });
}

/** Every dead letter that is selected, one JSON object a line, oldest first; read as it is taken. */
export async function exportDeadLetters(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { destination, ...selection } = check(ExportQuery, queryOf(call.url));
  const { team, outbox } = await outboxOf(call, deps, destination);
  const encoder = new TextEncoder();
  let after: number | null = 0;
  const pages = new ReadableStream<Uint8Array>({
    pull: async (stream) => {
      if (after === null) return stream.close();
      const query: DeadLetterQuery = { ...utc(selection), after, limit: PAGE_MAX_COUNT, uncounted: true };
      const page: DeadLetterPage = await askObject(`outbox ${team}/${destination}`, () => outbox.deadLetters(query));
      after = page.next;
      const text = page.dead_letters.map((letter) => `${JSON.stringify(letter)}\n`).join("");
      if (text !== "") stream.enqueue(encoder.encode(text));
      else if (after === null) stream.close();
    },
  });
  return new Response(pages, { headers: { "Content-Type": "application/x-ndjson", "Cache-Control": "no-store" } });
}

/** Puts dead letters back into their queue, or into another destination's: all of them, or those selected. */
export async function replayDeadLetters(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { destination, to = destination, events_per_second, ...rest } = check(ReplayBody, await jsonBody(call.request));
  const { team, outbox } = await outboxOf(call, deps, destination);
  if (to !== destination) await configuredOf(call, deps, to, "to");
  const request: DeadLetterReplay = {
    ...{ id: deps.newId(), from: "dead_letters", team, destination: to, selection: utc(rest) },
    ...(events_per_second === undefined ? {} : { events_per_second }),
  };
  const replay = await askObject(`outbox ${team}/${destination}`, () => outbox.replay(request));
  const { id, state, replayed, problem } = replay;
  logLine({ message: "dead letters replayed", team, destination, to, replay: id, state, replayed, problem });
  if (state === "done" && problem !== null) {
    const left = `${replayed} dead letters were replayed; those that the destination's script has to run on again stay`;
    throw new AppError("script_not_run", 503, `${problem}. ${left}: replay them later`);
  }
  return json({ team, destination, to, replayed, replay }, state === "running" ? 202 : 200);
}

/** Ends dead letters: all of the destination's, or those selected. */
export async function discardDeadLetters(call: Call, deps: ConsoleDeps): Promise<Response> {
  const { destination, ...selection } = check(DiscardBody, await jsonBody(call.request));
  const { team, outbox } = await outboxOf(call, deps, destination);
  const { discarded } = await askObject(`outbox ${team}/${destination}`, () => outbox.discard(utc(selection)));
  logLine({ message: "dead letters discarded", team, destination, discarded });
  return json({ team, destination, discarded });
}
