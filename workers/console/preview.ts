import type { Event } from "../../shared/event.ts";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import type { RunResult } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";
import { type RunOptions, type RunOutcome, runInSandbox } from "../capture/sandbox-client.ts";
import { shareOf } from "../capture/share.ts";

/** What the pipeline would do with these events; nothing is delivered. */
export interface Preview {
  /** What the chain made of them, in order. */
  events: unknown[];
  /** For each of `events`, the index of the event that it came from. */
  sources: number[];
  /** Indexes of events that a script dropped. */
  dropped: number[];
  quarantined: NonNullable<RunResult["quarantined"]>;
  errors: RunResult["errors"];
  logs: NonNullable<RunResult["logs"]>;
  use: NonNullable<RunResult["use"]>;
  /** By destination id: what would be sent there, as events or as the requests that its script shaped. */
  destinations: Record<string, unknown[]>;
}

/** The sandbox died, did not load the scripts, or could not be reached. */
export type PreviewOutcome = { outcome: "previewed"; preview: Preview } | Exclude<RunOutcome, { outcome: "ran" }>;

export interface PreviewDeps {
  sandbox: { fetch: typeof fetch };
  /** Opens a script's sealed credential. */
  open(sealed: string): Promise<string>;
}

const OPTIONS: RunOptions = { careful: false, skip: [], fail: [] };
/** What the pump takes at once. */
const BATCH_COUNT = 500;

/** Runs events through a bundle as the pump does, in batches as it cuts them, and cuts the destinations' shares as it does. */
export async function preview(
  deps: PreviewDeps,
  bundle: Bundle,
  events: readonly Event[],
  destinations: readonly string[],
): Promise<PreviewOutcome> {
  const whole = emptyPreview(destinations);
  for (let from = 0; from < events.length; ) {
    const part = events.slice(from, from + BATCH_COUNT);
    const lines = encodeLines(part.map((event) => JSON.stringify(event)));
    const outcome = await runInSandbox(deps.sandbox, bundle, lines, OPTIONS, deps.open);
    if (outcome.outcome !== "ran") return outcome;
    // The sandbox ends a batch early where what it becomes grows too large.
    const ran = outcome.result.ran ?? part.length;
    const batch = { after: 0, through: ran, events: lines, tokens: [["", ran] as [string, number]] };
    for (const id of destinations) {
      whole.destinations[id]?.push(...parsedLines(shareOf({ batch, run: outcome }, id).events));
    }
    addResult(whole, outcome.result, parsedLines(outcome.events), from);
    from += ran;
  }
  return { outcome: "previewed", preview: whole };
}

function emptyPreview(destinations: readonly string[]): Preview {
  return {
    ...{ events: [], sources: [], dropped: [], quarantined: [], errors: [], logs: [], use: [] },
    destinations: Object.fromEntries(destinations.map((id) => [id, []])),
  };
}

/** Adds one batch's result, whose indexes count from `from`. */
function addResult(whole: Preview, result: RunResult, lines: readonly unknown[], from: number): void {
  const moved = <T extends { index: number }>(list: readonly T[] = []) =>
    list.map((item) => ({ ...item, index: item.index + from }));
  const own = Object.values(result.own ?? {}).reduce((sum, { count }) => sum + count, 0);
  const main = lines.slice(0, lines.length - own);
  whole.events.push(...main);
  whole.sources.push(...(result.sources ?? main.map((_, index) => index)).map((index) => index + from));
  whole.dropped.push(...result.dropped.map((index) => index + from));
  whole.quarantined.push(...moved(result.quarantined));
  whole.errors.push(...moved(result.errors));
  whole.logs.push(...moved(result.logs));
  whole.use.push(...(result.use ?? []));
}

function parsedLines(lines: Uint8Array): unknown[] {
  return decodeLines(lines).map((line) => JSON.parse(line) as unknown);
}
