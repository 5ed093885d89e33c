import {
  type DestinationConfig,
  type NotificationsConfig,
  settingsOf,
  type TeamConfig,
  tokensIn,
} from "../../shared/config.ts";
import type { TransformationConfig } from "../../shared/config-scripts.ts";
import type { SourceConfig } from "../../shared/config-sources.ts";
import { AppError } from "../../shared/errors.ts";
import type { Filter } from "../../shared/filter.ts";
import { NOTIFICATIONS } from "../../shared/notifications.ts";
import { mapFields } from "../../shared/secret-fields.ts";
import type { Bundle, DestinationSnapshot, SourceSnapshot, TeamSnapshot } from "../../shared/snapshot.ts";
import type { DestinationKind } from "../deliver/destinations/destination.ts";
import type { BundleSource } from "../transform/compile.ts";
import type { SealedSecret } from "./config-store.ts";

/** D1 takes rows of up to 2 MB; a version's row holds the configuration and the snapshot compiled from it. */
const VERSION_MAX_BYTES = 1_900_000;

/** Compiles a team's scripts and filters. Throws an `AppError` that names the script, the line and the column. */
export type CompileBundle = (source: BundleSource) => Promise<Bundle>;

/** What the edge needs of a team's configuration. Secrets are in it sealed, where the edge hands them on, or not at all. */
export async function compileSnapshot(
  config: TeamConfig,
  version: number,
  kinds: readonly DestinationKind[],
  compile: CompileBundle,
  secrets: readonly SealedSecret[],
): Promise<TeamSnapshot> {
  const snapshot: TeamSnapshot = {
    team: config.id,
    version,
    lanes: config.lanes,
    tokens: [...tokensIn(config)].map(([, token]) => token as string),
    ...(config.sources.length === 0
      ? {}
      : { sources: config.sources.map((source) => sourceSnapshot(source, secrets)) }),
    ...(config.restrictions.length === 0 ? {} : { restrictions: config.restrictions }),
    ...(config.quota === undefined ? {} : { quota: config.quota }),
    bundle: await compileTeam(config, compile, secrets),
    destinations: config.destinations.map((destination) => compileDestination(destination, kinds)),
    ...(config.notifications === undefined ? {} : { notifications: notificationsSnapshot(config.notifications) }),
  };
  const encoder = new TextEncoder();
  const bytes = encoder.encode(JSON.stringify(config)).length + encoder.encode(JSON.stringify(snapshot)).length;
  if (bytes > VERSION_MAX_BYTES) {
    throw new AppError(
      "team_too_large",
      422,
      `team ${config.id} takes ${bytes} bytes, more than the ${VERSION_MAX_BYTES} that fit: shorten its scripts or their inputs`,
      { field: "transformations" },
    );
  }
  return snapshot;
}

function sourceSnapshot(source: SourceConfig, secrets: readonly SealedSecret[]): SourceSnapshot {
  const { verify, transformation: _transformation, ...rules } = source;
  // A webhook source that has no token is reached by its id.
  const tokens = source.protocol === "webhook" && source.tokens.length === 0 ? [source.id] : source.tokens;
  if (verify === undefined) return { ...rules, tokens };
  const { scheme, header } = verify;
  const sealed = secrets.find(
    ({ owner, field }) => owner === `source:${source.id}` && field === "verify.secret",
  )?.sealed;
  if (sealed === undefined) throw new Error(`the secret of source ${source.id} has not been sealed`);
  return { ...rules, tokens, verify: { scheme, ...(header === undefined ? {} : { header }), sealed } };
}

async function compileTeam(
  config: TeamConfig,
  compile: CompileBundle,
  secrets: readonly SealedSecret[],
): Promise<Bundle | null> {
  const filters: Record<string, Filter> = {};
  for (const { id, filter } of config.destinations) if (filter !== undefined) filters[id] = filter;
  const source = (id: string, script: ScriptConfig) => scriptSource(id, script, secrets);
  const scripts = [
    ...config.sources.flatMap(({ id, transformation }) =>
      transformation === undefined
        ? []
        : [{ ...source(`source:${id}`, transformation), on_error: transformation.on_error, source: id }],
    ),
    ...config.transformations.map((script) => ({ ...source(script.id, script), on_error: script.on_error })),
  ];
  const shapers = config.destinations.flatMap(({ id, transformation }) =>
    transformation === undefined
      ? []
      : [{ ...source(`destination:${id}`, transformation), on_error: transformation.on_error, destination: id }],
  );
  // Events that a restriction sends to the quarantine are told apart where the scripts run.
  const restricted = config.restrictions.some(({ action }) => action === "dead_letter");
  if (scripts.length + shapers.length + Object.keys(filters).length === 0 && !restricted) return null;
  const modules = config.modules.map(({ id, file, code }) => ({
    id,
    code,
    ...(file === undefined ? {} : { filename: file }),
  }));
  return compile({ team: config.id, scripts, shapers, modules, filters });
}

type ScriptConfig = Pick<TransformationConfig, "file" | "code" | "inputs" | "credentials">;

function scriptSource(id: string, { file, code, inputs, credentials }: ScriptConfig, secrets: readonly SealedSecret[]) {
  const owner = id.includes(":") ? id : `transformation:${id}`;
  const sealed = Object.keys(credentials).flatMap((name) => {
    const found = secrets.find((secret) => secret.owner === owner && secret.field === `credentials.${name}`);
    return found === undefined ? [] : [[name, found.sealed] as const];
  });
  return {
    ...{ id, code, inputs },
    ...(file === undefined ? {} : { filename: file }),
    ...(sealed.length === 0 ? {} : { credentials: Object.fromEntries(sealed) }),
  };
}

/** One request each: what is told is rare, and read by itself. */
function notificationsSnapshot({ url }: NotificationsConfig): DestinationSnapshot {
  return { id: NOTIFICATIONS, kind: "webhook", settings: { url, batch: { max_events: 1 } } };
}

function compileDestination(destination: DestinationConfig, kinds: readonly DestinationKind[]): DestinationSnapshot {
  const kind = kinds.find((candidate) => candidate.kind === destination.kind);
  if (kind === undefined) throw new Error(`destination ${destination.id} has the unknown kind ${destination.kind}`);
  return {
    id: destination.id,
    kind: kind.kind,
    settings: mapFields(settingsOf(destination), kind.secrets, () => undefined),
  };
}
