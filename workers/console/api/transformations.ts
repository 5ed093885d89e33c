import type { TeamConfig } from "../../../shared/config.ts";
import type { LaneStatus, ScriptFailure, ScriptStatus } from "../../../shared/lane-api.ts";
import type { ConsoleDeps } from "../deps.ts";
import { laneStatuses } from "../object-statuses.ts";
import { type Call, json, teamOf } from "./request.ts";

/** As many as a lane keeps. */
const LOGS_COUNT = 50;
const FAILURES_COUNT = 20;
/** A share of failing events that is worth a word. */
const MANY_FAIL = 0.1;

type OneScriptStatus = ScriptStatus & { lane: string };

/** How one script does, over all of the team's lanes: the version in force. */
interface ScriptHealth {
  id: string;
  /** Events that it was given, and those of them that it dropped. */
  events: number;
  dropped: number;
  /** Events that it threw on or ran out of fuel on. */
  errors: number;
  /** Times that the sandbox process had to be killed while it ran. */
  kills: number;
  /** Taken out of the chain as it stands, because it killed the sandbox again and again. */
  quarantined: boolean;
  last_error: string | null;
  /** Lanes that have taken it out. */
  quarantined_in: string[];
  /** What is wrong with it, in words; null where nothing is. */
  trouble: string | null;
  /** Steps: of all its events, and how many half of them, and 99 in 100, took at most. Null without events. */
  fuel: { p50: number | null; p99: number | null; total: number };
  failures: { message: string; count: number; stack: string[]; first_at: string; last_at: string; sample: unknown }[];
  logs: { at: string; text: string }[];
}

/** The team's scripts, each with its record: sources' own ones, the chain in its order, destinations' own ones. */
export async function listTransformations(call: Call, { store, objects }: ConsoleDeps): Promise<Response> {
  const team = await teamOf(store, call);
  const lanes = await laneStatuses(
    objects,
    (await store.lanes(team.team)).map(({ lane }) => lane),
  );
  const transformations = scriptsOf(team.config).map(({ id, file, on_error, inputs }) => ({
    ...scriptHealth(id, lanes, team.bundle),
    file: file ?? null,
    on_error,
    inputs,
  }));
  return json({ team: team.team, version: team.version, bundle: team.bundle, transformations });
}

function scriptsOf({ sources, transformations, destinations }: TeamConfig) {
  const own = (kind: string, list: readonly (TeamConfig["sources"][number] | TeamConfig["destinations"][number])[]) =>
    list.flatMap(({ id, transformation }) => (transformation ? [{ ...transformation, id: `${kind}:${id}` }] : []));
  return [...own("source", sources ?? []), ...transformations, ...own("destination", destinations)];
}

function scriptHealth(id: string, lanes: readonly LaneStatus[], bundle: string | null): ScriptHealth {
  const entries = lanes.flatMap(({ lane, scripts }) =>
    scripts.filter((script) => script.id === id && script.bundle === bundle).map((script) => ({ lane, ...script })),
  );
  const sum = (read: (entry: OneScriptStatus) => number) => entries.reduce((total, entry) => total + read(entry), 0);
  const quarantinedIn = entries.filter((entry) => entry.quarantined).map((entry) => entry.lane);
  const histogram = sumOfHistograms(entries.map((entry) => entry.histogram));
  const counts = {
    events: sum((entry) => entry.events),
    dropped: sum((entry) => entry.dropped),
    errors: sum((entry) => entry.errors),
    kills: sum((entry) => entry.kills),
    quarantined: quarantinedIn.length > 0,
    last_error: entries.findLast((entry) => entry.lastError !== null)?.lastError ?? null,
  };
  return {
    ...{ id, ...counts, quarantined_in: quarantinedIn, trouble: scriptTrouble(counts) },
    fuel: { p50: quantile(histogram, 0.5), p99: quantile(histogram, 0.99), total: sum((entry) => entry.steps) },
    failures: mergedFailures(entries.flatMap((entry) => entry.failures)),
    logs: entries
      .flatMap((entry) => entry.logs)
      .toSorted((a, b) => compare(a.at, b.at))
      .slice(-LOGS_COUNT),
  };
}

/** What an operator should know of a script before any number; null where there is nothing. */
export function scriptTrouble({
  events,
  dropped,
  errors,
  quarantined,
  last_error: lastError,
}: Pick<ScriptHealth, "events" | "dropped" | "errors" | "quarantined" | "last_error">): string | null {
  if (quarantined) {
    return "it is not run any more: the sandbox had to be killed again and again while it ran; publish a mended version";
  }
  if (errors > 0 && errors >= events) return `it fails on every event: ${lastError ?? "no message"}`;
  if (errors > events * MANY_FAIL) {
    return `it fails on ${Math.round((errors / events) * 100)} % of its events, lately with: ${lastError ?? "no message"}`;
  }
  return events > 0 && dropped >= events ? "it drops every event" : null;
}

/**
 * The most steps that an event took which is not among the dearest (1 - share) of all. Entry i counts events of fewer than 2^i steps, so this is
 * an upper bound, less than twice the true value.
 */
export function quantile(histogram: readonly number[], share: number): number | null {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [i, count] of histogram.entries()) {
    seen += count;
    if (seen > 0 && seen >= total * share) return 2 ** i - 1;
  }
  return null;
}

function sumOfHistograms(histograms: readonly (readonly number[])[]): number[] {
  const sum: number[] = [];
  for (const histogram of histograms) {
    for (const [i, count] of histogram.entries()) sum[i] = (sum[i] ?? 0) + count;
  }
  return sum;
}

/** One entry for each message, the latest first. */
function mergedFailures(failures: readonly ScriptFailure[]): ScriptHealth["failures"] {
  const merged = new Map<string, ScriptFailure>();
  for (const failure of failures) {
    const known = merged.get(failure.message);
    if (known === undefined) {
      merged.set(failure.message, failure);
      continue;
    }
    const [first, last] = known.firstAt <= failure.firstAt ? [known, failure] : [failure, known];
    const lastAt = compare(first.lastAt, last.lastAt) > 0 ? first.lastAt : last.lastAt;
    merged.set(failure.message, { ...first, count: known.count + failure.count, lastAt });
  }
  return [...merged.values()]
    .toSorted((a, b) => compare(b.lastAt, a.lastAt))
    .slice(0, FAILURES_COUNT)
    .map(({ message, count, stack, firstAt, lastAt, sample }) => ({
      ...{ message, count, stack, first_at: firstAt, last_at: lastAt, sample },
    }));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
