import type { Event } from "../../shared/event.ts";
import { concatLines, decodeLines, encodeLines } from "../../shared/ndjson.ts";
import type { RunResult, ScriptError, ScriptUse } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";
import { BATCH_BYTES, BATCH_EVENTS } from "../capture/batch-size.ts";
import { type RunOptions, type RunOutcome, runInSandbox } from "../capture/sandbox-client.ts";
import { shareOf } from "../capture/share.ts";
import { LOGS_PER_BATCH_COUNT } from "../transform/isolate/script-logs.ts";
import { sumOfUse } from "../transform/sum-of-use.ts";

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

/** Runs events through a bundle as the pump does, in batches as it cuts them, and cuts the destinations' shares as it does. */
export async function preview(
  deps: PreviewDeps,
  bundle: Bundle,
  events: readonly Event[],
  destinations: readonly string[],
): Promise<PreviewOutcome> {
  const whole = emptyPreview(destinations);
  const texts = events.map((event) => encodeLines([JSON.stringify(event)]));
  for (let from = 0; from < events.length; ) {
    const part = texts.slice(from, from + fitting(texts, from));
    const lines = concatLines(part);
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

/** How many events from `from` on the pump would take at once. */
function fitting(texts: readonly Uint8Array[], from: number): number {
  let bytes = 0;
  let count = 0;
  for (; from + count < texts.length && count < BATCH_EVENTS; count++) {
    bytes += (texts[from + count] as Uint8Array).length + 1;
    if (count > 0 && bytes > BATCH_BYTES) break;
  }
  return count;
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
  for (const error of moved(result.errors)) addError(whole.errors, error);
  whole.logs.push(...moved(result.logs).slice(0, LOGS_PER_BATCH_COUNT - whole.logs.length));
  for (const use of result.use ?? []) addUse(whole.use, use);
}

/** A message is told once, however many batches it took. */
function addError(errors: RunResult["errors"], error: ScriptError): void {
  const known = errors.find(({ script, message }) => script === error.script && message === error.message);
  if (known === undefined) errors.push(error);
  else known.count += error.count;
}

function addUse(uses: ScriptUse[], use: ScriptUse): void {
  const at = uses.findIndex(({ script }) => script === use.script);
  if (at === -1) uses.push(use);
  else uses[at] = sumOfUse(uses[at], use);
}

function parsedLines(lines: Uint8Array): unknown[] {
  return decodeLines(lines).map((line) => JSON.parse(line) as unknown);
}
