import { z } from "zod";
import type { TeamConfig } from "../../../shared/config.ts";
import { ConfigError, type ConfigProblem } from "../../../shared/config-error.ts";
import { SourceScriptSchema } from "../../../shared/config-scripts.ts";
import { AppError } from "../../../shared/errors.ts";
import type { Event } from "../../../shared/event.ts";
import { ScriptCompileError } from "../../transform/script-compile-error.ts";
import { compileSnapshot } from "../compile-snapshot.ts";
import { type ConfigChange, diffConfig } from "../config-diff.ts";
import type { ConsoleDeps } from "../deps.ts";
import { askObject } from "../object-statuses.ts";
import { type Preview, preview } from "../preview.ts";
import { completeEvent, SampleEventSchema } from "../sample-event.ts";
import { type SealedTeam, sealTeams } from "../seal-teams.ts";
import { type Call, check, json, jsonBody, teamOf } from "./request.ts";

/** As many as the pump takes at once. */
const EVENTS_MAX_COUNT = 500;
const SAMPLES_MAX_COUNT = 100;
const SAMPLES_COUNT = 10;
/** Names the script that is tried where it is none of the team's. */
const UNNAMED = "draft";

const Body = z.strictObject({
  events: z.array(SampleEventSchema).min(1).max(EVENTS_MAX_COUNT).optional(),
  samples: z.int().min(1).max(SAMPLES_MAX_COUNT).optional(),
  transformation: z.string().min(1).optional(),
  destination: z.string().min(1).optional(),
  chain: z.boolean().default(false),
  code: z.string().min(1).optional(),
  file: z.string().min(1).optional(),
  inputs: SourceScriptSchema.shape.inputs.removeDefault().optional(),
  credentials: SourceScriptSchema.shape.credentials.removeDefault().optional(),
  on_error: SourceScriptSchema.shape.on_error.removeDefault().optional(),
});

type Body = z.infer<typeof Body>;

/**
 * Runs scripts on events as the pipeline would, and delivers nothing: a draft (`code`), one of the team's transformations, or with
 * `chain` the whole team, with the draft in the place of that transformation. Without `events` the newest of the team's own.
 */
export async function testTransformation(call: Call, deps: ConsoleDeps): Promise<Response> {
  const body = check(Body, await jsonBody(call.request));
  const team = await teamOf(deps.store, call);
  const events =
    body.events?.map((event, index) => completeEvent(event, "test", index)) ?? (await samples(deps, team.team, body));
  const config = trialOf(team.config, body);
  const sealed = (await sealTeams(deps, [config])).get(config) as SealedTeam;
  const snapshot = await compiled(deps, sealed, team.version, body.transformation ?? UNNAMED);
  const ids = snapshot.destinations.map(({ id }) => id);
  if (snapshot.bundle === null)
    throw new AppError("nothing_to_test", 400, `team ${team.team} has no scripts: give one as code`);
  const outcome = await preview(
    { sandbox: deps.sandbox, open: (sealed) => deps.deliver.open(sealed) },
    snapshot.bundle,
    events,
    ids,
  );
  if (outcome.outcome === "previewed") return json(answerOf(team.team, events, outcome.preview));
  if (outcome.outcome === "broken")
    throw new AppError("script_broken", 422, `the scripts do not load: ${outcome.message}`);
  if (!outcome.started) {
    throw new AppError("sandbox_unreachable", 503, `the sandbox cannot be reached: ${outcome.message}`, {
      retryAfterS: 1,
    });
  }
  const why = "the sandbox had to be killed while the script ran: it does not end, or takes all memory";
  throw new AppError("script_killed", 422, why, { field: "code" });
}

async function samples(deps: ConsoleDeps, team: string, { samples: count = SAMPLES_COUNT }: Body): Promise<Event[]> {
  const lanes = await deps.store.lanes(team);
  const found = await Promise.all(
    lanes.map(({ lane }) => askObject(`lane ${lane}`, () => deps.objects.lane(lane).samples(count))),
  );
  const newest = found.flat().sort((a, b) => (a.received_at < b.received_at ? 1 : -1));
  if (newest.length > 0) return newest.slice(0, count).reverse();
  throw new AppError("no_samples", 400, `team ${team} has no events yet: give some as events`, { field: "events" });
}

/** The team as it is tried: what runs, and where to. */
function trialOf(config: TeamConfig, body: Body): TeamConfig {
  const id = body.transformation ?? UNNAMED;
  const present = config.transformations.find((script) => script.id === id);
  if (body.transformation !== undefined && present === undefined && body.code === undefined) {
    const ids = config.transformations.map((script) => script.id).join(", ") || "none";
    const message = `team ${config.id} has no transformation "${id}": it has ${ids}`;
    throw new AppError("transformation_unknown", 404, message, { field: "transformation" });
  }
  const wholeTeam = body.chain || (body.transformation === undefined && body.code === undefined);
  const trial = { ...config, destinations: destinationsOf(config, body, wholeTeam) };
  if (present === undefined && body.code === undefined) return trial;
  const script = {
    id,
    code: body.code ?? present?.code ?? "",
    ...optional("file", body.file ?? (body.code === undefined ? present?.file : undefined)),
    inputs: body.inputs ?? present?.inputs ?? {},
    credentials: body.credentials ?? present?.credentials ?? {},
    on_error: body.on_error ?? present?.on_error ?? "pass",
  };
  if (!wholeTeam) return { ...trial, sources: [], restrictions: [], transformations: [script] };
  const others = config.transformations;
  const transformations =
    present === undefined ? [...others, script] : others.map((other) => (other.id === id ? script : other));
  return { ...trial, transformations };
}

function destinationsOf(config: TeamConfig, { destination }: Body, wholeTeam: boolean): TeamConfig["destinations"] {
  if (destination === undefined) return wholeTeam ? config.destinations : [];
  const chosen = config.destinations.filter(({ id }) => id === destination);
  if (chosen.length > 0) return chosen;
  const ids = config.destinations.map(({ id }) => id).join(", ") || "none";
  const message = `team ${config.id} has no destination "${destination}": it has ${ids}`;
  throw new AppError("destination_unknown", 404, message, { field: "destination" });
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}

async function compiled(deps: ConsoleDeps, { config, secrets }: SealedTeam, version: number, draft: string) {
  try {
    return await compileSnapshot(config, version, deps.kinds, deps.compile, secrets);
  } catch (error) {
    if (!(error instanceof ScriptCompileError)) throw error;
    throw new ConfigError([error, ...error.also].map((problem) => problemOf(problem, draft)));
  }
}

/** A problem of the draft is one of the request; another script's is named by its owner. */
function problemOf({ script, message, frame }: ScriptCompileError, draft: string): ConfigProblem {
  const [line = message] = message.split("\n", 1);
  return { path: script === draft ? "code" : script, message: line, ...(frame === "" ? {} : { frame }) };
}

/** What became of one event. */
interface Trial {
  input: Event;
  outputs: unknown[];
  /** From the input to the first output. */
  changes: ConfigChange[];
  became: "passed" | "dropped" | "quarantined";
}

function answerOf(team: string, events: readonly Event[], whole: Preview) {
  const { sources, errors, logs, use, quarantined, destinations } = whole;
  const held = new Set(quarantined.map(({ index }) => index));
  const results: Trial[] = events.map((input, index) => {
    const outputs = whole.events.filter((_, line) => sources[line] === index);
    const became = held.has(index) ? "quarantined" : outputs.length === 0 ? "dropped" : "passed";
    return { input, outputs, changes: outputs.length === 0 ? [] : diffConfig(input, outputs[0]), became };
  });
  return { team, results, errors, logs, quarantined, fuel: use, destinations };
}
