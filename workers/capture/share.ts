import { concatLines, lineStarts, sliceLines } from "../../shared/ndjson.ts";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { appendRun, expandRuns } from "../../shared/runs.ts";
import type { RunResult } from "../../shared/sandbox-api.ts";
import type { LaneBatch } from "./lane.ts";

/** A lane's batch after the scripts: what the destinations' shares are cut from. */
export interface Transformed {
  batch: LaneBatch;
  /** Null where the team has neither scripts nor filters: the events go on as they are. */
  run: { result: RunResult; events: Uint8Array } | null;
}

/** One destination's share: every seq of the batch is in it, as lines to send, dropped by a script, or left out by the filter. */
export function shareOf(
  transformed: Transformed,
  destination: string,
): Pick<OutboxAppend, "after" | "through" | "events" | "seqs" | "tokens" | "dropped" | "filtered" | "expired"> {
  const { batch, run } = transformed;
  const bounds = { after: batch.after, through: batch.through, expired: [] };
  if (run === null) {
    return { ...bounds, events: batch.events, seqs: null, tokens: batch.tokens, dropped: [], filtered: [] };
  }
  const { sources, matches } = run.result;
  const seqOf = (index: number) => batch.after + 1 + index;
  const dropped = run.result.dropped.map(seqOf);
  const match = matches[destination];
  if (match === undefined && sources === null) {
    return { ...bounds, events: run.events, seqs: null, tokens: batch.tokens, dropped, filtered: [] };
  }
  const starts = lineStarts(run.events);
  const lines = run.events.length === 0 ? 0 : starts.length - 1;
  const sourceOf = (line: number) => (sources === null ? line : (sources[line] as number));
  const kept = match ?? Array.from({ length: lines }, (_, line) => line);
  const tokenOf = expandRuns(batch.tokens);
  const tokens: [string, number][] = [];
  for (const line of kept) appendRun(tokens, tokenOf[sourceOf(line)] as string, 1);
  return {
    ...bounds,
    events:
      kept.length === lines
        ? run.events
        : concatLines(kept.map((line) => sliceLines(run.events, starts, line, line + 1))),
    seqs: kept.map((line) => seqOf(sourceOf(line))),
    tokens,
    dropped,
    filtered: match === undefined ? [] : missing(match, lines).map((line) => seqOf(sourceOf(line))),
  };
}

/** The numbers of [0, count) that the ascending list lacks. */
function missing(ascending: readonly number[], count: number): number[] {
  const absent: number[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (ascending[at] === i) at++;
    else absent.push(i);
  }
  return absent;
}
