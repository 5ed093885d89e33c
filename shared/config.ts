import { z } from "zod";
import type { DestinationKind } from "../workers/deliver/destinations/destination.ts";
import { ConfigError, type ConfigProblem, pathText } from "./config-error.ts";
import {
  type DestinationScriptConfig,
  DestinationScriptSchema,
  type ModuleConfig,
  moduleSchema,
  type TransformationConfig,
  transformationSchema,
} from "./config-scripts.ts";
import {
  type QuotaConfig,
  QuotaSchema,
  type RestrictionConfig,
  RestrictionSchema,
  type SourceConfig,
  sourceSchema,
} from "./config-sources.ts";
import type { Filter } from "./filter.ts";
import { FilterSchema } from "./filter-schema.ts";
import { NOTIFICATIONS } from "./notifications.ts";
import { fieldsAt, isObject, valueAt } from "./secret-fields.ts";

/** A lane is an object with a disk log of its own; more than this per team and region is a mistake, not a scale. */
const LANES_MAX_COUNT = 64;
/** PostHog's own bound, so that every token that an SDK may send can be configured. */
const TOKEN_MAX_BYTES = 64;
const NAME_MAX_CHARACTERS = 200;
/** Keeps one team's chain inside one isolate program and its fan-out inside one pump round. */
const TRANSFORMATIONS_MAX_COUNT = 64;
const DESTINATIONS_MAX_COUNT = 64;
const TOKENS_MAX_COUNT = 100;
const SOURCES_MAX_COUNT = 100;
const RESTRICTIONS_MAX_COUNT = 100;
const MODULES_MAX_COUNT = 64;

/** Fields of the plan that this version does not have; a reader of the design may well try them. */
const NOT_YET = new Set(["alerts", "retention", "schedule"]);

const ID_RULE = "lower-case letters, digits, - and _, starting with a letter or digit, at most 63 characters";

const IdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, ID_RULE)
  // Ids become keys of plain objects, where this one exists already.
  .refine((id) => id !== "constructor", "this id is reserved, choose another");

const TokenSchema = z
  .string()
  .superRefine((token, context) => {
    const message = tokenProblem(token);
    if (message !== null) context.addIssue({ code: "custom", message });
  })
  .meta({
    description: `Public write key that SDKs send: ASCII, at most ${TOKEN_MAX_BYTES} bytes, unique over all teams.`,
    minLength: 1,
    maxLength: TOKEN_MAX_BYTES,
  });

function tokenProblem(token: string): string | null {
  if (token === "") return "is empty";
  if (token.length > TOKEN_MAX_BYTES) return `is longer than ${TOKEN_MAX_BYTES} bytes`;
  if (!/^[\x21-\x7e]+$/.test(token)) return "may hold printable ASCII characters only, and no spaces";
  if (token.startsWith("phx_")) return "phx_ marks a personal API key, which is secret: use a project token (phc_…)";
  return null;
}

export const DestinationBaseSchema = z.strictObject({
  id: IdSchema.describe("Names the destination in the API, logs and metrics; unique in the team."),
  filter: FilterSchema.optional().describe("Which events it takes; all without one."),
  transformation: DestinationScriptSchema.optional().describe(
    "Shapes what is sent here: runs after the team's transformations, on the events that the filter takes.",
  ),
});

/** A destination's entry: id, kind, filter, and beside them the settings of its kind. */
export interface DestinationConfig {
  id: string;
  kind: string;
  filter?: Filter;
  transformation?: DestinationScriptConfig;
  [setting: string]: unknown;
}

/** Where a team is told how its destinations do. */
export interface NotificationsConfig {
  url: string;
  signing_secret?: string | undefined;
}

export interface TeamConfig {
  id: string;
  name?: string | undefined;
  tokens: string[];
  lanes: number;
  sources: SourceConfig[];
  restrictions: RestrictionConfig[];
  quota?: QuotaConfig | undefined;
  modules: ModuleConfig[];
  transformations: TransformationConfig[];
  destinations: DestinationConfig[];
  notifications?: NotificationsConfig | undefined;
}

/** headwater.json after parsing: defaults filled in, scripts inline, secrets still in plain text. */
export interface ConfigDocument {
  teams: TeamConfig[];
}

/** The settings of a destination's kind: its entry without what every destination has. */
export function settingsOf(destination: DestinationConfig): Record<string, unknown> {
  const { id: _id, kind: _kind, filter: _filter, transformation: _transformation, ...settings } = destination;
  return settings;
}

/** The document's schema for these kinds of destinations. */
export function configSchema(kinds: readonly DestinationKind[]) {
  const TeamSchema = z.strictObject({
    id: IdSchema.describe("Names the team in the API, logs and metrics. Never reuse one for somebody else."),
    name: z.string().min(1).max(NAME_MAX_CHARACTERS).optional().describe("For people."),
    tokens: z
      .array(TokenSchema)
      .max(TOKENS_MAX_COUNT)
      .default([])
      .describe(
        "Write keys that belong to no source: every protocol, no rules. A team needs one, here or at a source.",
      ),
    lanes: z
      .int()
      .min(1)
      .max(LANES_MAX_COUNT)
      .default(1)
      .describe(
        "Logs per region that the team's events are spread over, by distinct_id. One takes thousands of requests/s.",
      ),
    sources: z
      .array(sourceSchema(IdSchema, TokenSchema))
      .max(SOURCES_MAX_COUNT)
      .default([])
      .describe("Where events come from, each with tokens and rules of its own."),
    restrictions: z
      .array(RestrictionSchema)
      .max(RESTRICTIONS_MAX_COUNT)
      .default([])
      .describe("Events that are treated apart. All fields of one must match, and one value of each field."),
    quota: QuotaSchema.optional().describe("How much the team may send."),
    modules: z
      .array(moduleSchema(IdSchema))
      .max(MODULES_MAX_COUNT)
      .default([])
      .describe("Code that the team's scripts share."),
    transformations: z
      .array(transformationSchema(IdSchema))
      .max(TRANSFORMATIONS_MAX_COUNT)
      .default([])
      .describe("Scripts, in the order in which every event passes them."),
    destinations: z
      .array(destinationSchema(kinds))
      .max(DESTINATIONS_MAX_COUNT)
      .default([])
      .describe("Where the events go; each has a durable queue of its own."),
    notifications: notificationsSchema(kinds)
      .optional()
      .describe(
        "A webhook that is told when a destination fails, is paused or disabled, recovers, or piles up events.",
      ),
  });
  return z.strictObject({
    $schema: z.string().optional().describe("Path or URL of this schema, for editors."),
    teams: z.array(TeamSchema),
  });
}

/** What a webhook takes as these two fields, this takes. */
function notificationsSchema(kinds: readonly DestinationKind[]) {
  const webhook = kinds.find(({ kind }) => kind === "webhook");
  const fields = z.strictObject({
    url: z.string().describe("Where notifications are sent."),
    signing_secret: z.string().optional().describe("Key of the Standard Webhooks signature: whsec_… or any text."),
  });
  return fields.superRefine((value, context) => {
    const parsed = webhook?.settings.safeParse(value);
    for (const issue of parsed?.error?.issues ?? []) {
      context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
    }
  });
}

function destinationSchema(kinds: readonly DestinationKind[]) {
  return z.unknown().transform((entry, context): DestinationConfig => {
    const refuse = (message: string, path: PropertyKey[] = []): never => {
      context.issues.push({ code: "custom", message, path, input: entry });
      return z.NEVER;
    };
    if (!isObject(entry)) return refuse("expected an object with id, kind and the settings of that kind");
    const { id, kind, filter, transformation, ...rest } = entry;
    const known = kinds.find((candidate) => candidate.kind === kind);
    const common = {
      id,
      ...(filter === undefined ? {} : { filter }),
      ...(transformation === undefined ? {} : { transformation }),
    };
    const base = DestinationBaseSchema.safeParse(common, { error: missing });
    const settings = known?.settings.safeParse(rest, { error: missing });
    for (const issue of [...(base.error?.issues ?? []), ...(settings?.error?.issues ?? [])]) {
      context.issues.push({ ...issue, input: entry } as z.core.$ZodRawIssue);
    }
    if (known === undefined) {
      const names = kinds.map((candidate) => candidate.kind).join(", ");
      return refuse(kind === undefined ? `${MISSING}: one of ${names}` : `unknown kind; there are ${names}`, ["kind"]);
    }
    if (!base.success || !settings?.success) return z.NEVER;
    const { filter: parsedFilter, transformation: script } = base.data;
    return {
      id: base.data.id,
      kind: known.kind,
      ...(settings.data as object),
      ...(parsedFilter === undefined ? {} : { filter: parsedFilter as Filter }),
      ...(script === undefined ? {} : { transformation: script }),
    };
  });
}

/**
 * Checks a whole document and fills in the defaults. Throws `ConfigError` with every problem. `found` are problems that the caller
 * has found already; what this finds at the same place is left out, because it only follows from them.
 */
export function parseConfig(
  value: unknown,
  kinds: readonly DestinationKind[],
  found: readonly ConfigProblem[] = [],
): ConfigDocument {
  const parsed = configSchema(kinds).safeParse(value, { error: missing });
  const problems = [...found];
  const later = [
    ...(parsed.error?.issues.flatMap((issue) => problemsOf(issue)) ?? []),
    ...tokenlessProblems(value),
    ...duplicateProblems(value),
    ...unresolvedSecrets(value, kinds),
  ];
  for (const problem of later) {
    if (!problems.some((earlier) => earlier.path === problem.path)) problems.push(problem);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { teams: (parsed.data as { teams: TeamConfig[] }).teams };
}

const MISSING = "is missing";

function missing(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input !== undefined) return undefined;
  if (issue.code === "invalid_type") return `${MISSING}: expected ${issue.expected}`;
  return issue.code === "invalid_value" || issue.code === "invalid_union" ? MISSING : undefined;
}

/** A problem for each unknown key; a union speaks through the branch that got furthest. */
function problemsOf(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[] = []): ConfigProblem[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: pathText([...path, key]),
      message: NOT_YET.has(key)
        ? "this version of Headwater does not have this yet: remove the field"
        : "unknown field: check its spelling, or remove it",
    }));
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const inside = issue.errors.filter((branch) => branch.some(isInside));
    const [best] = inside.toSorted((a, b) => strangeness(a) - strangeness(b) || depthOf(b) - depthOf(a));
    if (best !== undefined) return best.flatMap((inner) => problemsOf(inner, path));
    const types = issue.errors.flatMap(([inner]) => (inner?.code === "invalid_type" ? [inner.expected] : []));
    if (types.length > 0) return [{ path: pathText(path), message: `expected ${types.join(" or ")}` }];
  }
  return [{ path: pathText(path), message: issue.message }];
}

/** Whether the branch took the value for its own kind of thing and found something wrong inside. */
function isInside(issue: z.core.$ZodIssue): boolean {
  return issue.path.length > 0 || issue.code === "unrecognized_keys" || issue.code === "custom";
}

/** How little a value looks like what a branch of a union expects: keys too many and keys too few. */
function strangeness(branch: readonly z.core.$ZodIssue[]): number {
  return branch.reduce((sum, issue) => {
    if (issue.code === "unrecognized_keys" && issue.path.length === 0) return sum + issue.keys.length;
    return sum + (issue.path.length === 1 && issue.message.startsWith(MISSING) ? 1 : 0);
  }, 0);
}

function depthOf(branch: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...branch.map((issue) => issue.path.length));
}

/** Works on the raw value, so that it speaks up next to other problems. */
function duplicateProblems(value: unknown): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const check = (seen: Map<string, string>, key: unknown, path: string) => {
    if (typeof key !== "string") return;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, path);
    else problems.push({ path, message: `"${key}" is used already, at ${first}` });
  };
  const teamIds = new Map<string, string>();
  const tokens = new Map<string, string>();
  for (const [t, team] of items(value, "teams")) {
    check(teamIds, team.id, `teams[${t}].id`);
    for (const [path, token] of tokensIn(team)) check(tokens, token, `teams[${t}].${path}`);
    for (const list of ["sources", "modules", "transformations", "destinations"]) {
      const ids = new Map<string, string>();
      for (const [i, item] of items(team, list)) check(ids, item.id, `teams[${t}].${list}[${i}].id`);
    }
  }
  return problems;
}

function unresolvedSecrets(value: unknown, kinds: readonly DestinationKind[]): ConfigProblem[] {
  return [...secretsIn(value, kinds)]
    .filter((secret) => secret.value.startsWith("env:"))
    .map(({ path }) => ({
      path,
      message: "env: is resolved by the command line, where the variable is: send the secret itself",
    }));
}

/** What stands in configurations in the place of a stored secret, followed by a fingerprint of its sealed form. */
export const SEALED = "sealed:";

/** One secret of an unchecked document. */
export interface FoundSecret {
  /** Such as `teams[0].destinations[1].auth.password`. */
  path: string;
  /** What in the team has it: `hook` for a destination, `$notifications`, `source:web`, `transformation:scrub`, `destination:hook` for scripts. */
  owner: string;
  /** Path of the value inside `holder`. */
  field: string;
  value: string;
  holder: Record<string, unknown>;
}

/** Every secret of an unchecked document. */
export function* secretsIn(value: unknown, kinds: readonly DestinationKind[]): Generator<FoundSecret> {
  for (const [t, team] of items(value, "teams")) yield* secretsOfTeam(team, `teams[${t}].`, kinds);
}

/** Every secret of one team's entry. `prefix` stands before each path. */
export function* secretsOfTeam(
  team: unknown,
  prefix: string,
  kinds: readonly DestinationKind[],
): Generator<FoundSecret> {
  const found = function* (holder: unknown, owner: string, path: string, fields: readonly string[]) {
    if (!isObject(holder)) return;
    for (const field of fieldsAt(holder, fields)) {
      const secret = valueAt(holder, field);
      const at = field.replaceAll(/\.(\d+)(?=\.|$)/g, "[$1]");
      if (typeof secret === "string") yield { path: `${prefix}${path}.${at}`, owner, field, value: secret, holder };
    }
  };
  for (const [d, destination] of items(team, "destinations")) {
    const kind = kinds.find((candidate) => candidate.kind === destination.kind);
    yield* found(destination, String(destination.id), `destinations[${d}]`, kind?.secrets ?? []);
  }
  if (isObject(team)) yield* found(team.notifications, NOTIFICATIONS, "notifications", ["signing_secret"]);
  for (const [s, source] of items(team, "sources")) {
    yield* found(source, `source:${source.id}`, `sources[${s}]`, ["verify.secret"]);
  }
  for (const { script, owner, path } of scriptsIn(team)) {
    const names = isObject(script.credentials) ? Object.keys(script.credentials) : [];
    yield* found(
      script,
      owner,
      path,
      names.map((name) => `credentials.${name}`),
    );
  }
}

/** Every script of one team's entry, unchecked, and where it stands. Modules are not among them. */
export function* scriptsIn(team: unknown): Generator<{ script: Record<string, unknown>; owner: string; path: string }> {
  for (const [i, script] of items(team, "transformations")) {
    yield { script, owner: `transformation:${script.id}`, path: `transformations[${i}]` };
  }
  for (const list of ["sources", "destinations"] as const) {
    for (const [i, { id, transformation }] of items(team, list)) {
      if (!isObject(transformation)) continue;
      yield { script: transformation, owner: `${list.slice(0, -1)}:${id}`, path: `${list}[${i}].transformation` };
    }
  }
}

/** All tokens that lead to a team, with their paths in its entry; works on unchecked values. */
export function* tokensIn(team: unknown): Generator<[path: string, token: unknown]> {
  const own = isObject(team) ? team.tokens : undefined;
  if (Array.isArray(own)) for (const [i, token] of own.entries()) yield [`tokens[${i}]`, token];
  for (const [s, source] of items(team, "sources")) {
    const { id, protocol, tokens } = source;
    if (Array.isArray(tokens)) for (const [i, token] of tokens.entries()) yield [`sources[${s}].tokens[${i}]`, token];
    if (protocol === "webhook" && !(Array.isArray(tokens) && tokens.length > 0)) yield [`sources[${s}].id`, id];
  }
}

function tokenlessProblems(value: unknown): ConfigProblem[] {
  return [...items(value, "teams")]
    .filter(([, team]) => tokensIn(team).next().done)
    .map(([t]) => ({ path: `teams[${t}].tokens`, message: "needs at least one token, here or at a source" }));
}

/** The objects of the list at `key` of an unchecked value, with their positions. */
export function* items(value: unknown, key: string): Generator<[number, Record<string, unknown>]> {
  const list = isObject(value) ? value[key] : undefined;
  if (!Array.isArray(list)) return;
  for (const [index, item] of list.entries()) if (isObject(item)) yield [index, item];
}
