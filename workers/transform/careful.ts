import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import type { Progress, RunResult, ScriptError, ScriptLog } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";
import { DEFAULT_CHAIN_LIMITS } from "./isolate/chain.ts";
import type { BatchSkips, IsolateApi } from "./isolate-api.ts";

export interface CarefulRun {
  bundle: Bundle;
  isolate: IsolateApi;
  events: Uint8Array;
  skips: BatchSkips;
  body: WritableStreamDefaultWriter<Uint8Array>;
  /** Resolves when what was written has left. */
  flush(): Promise<void>;
  /** Rejects where a step does not end. */
  within<T>(work: Promise<T>): Promise<T>;
}

const encoder = new TextEncoder();

/** Runs one event and one script at a time, naming both before, so that a death names its culprit. Writes the whole body. */
export async function runCarefully(run: CarefulRun): Promise<void> {
  const inputs = decodeLines(run.events);
  const result: RunResult = { sources: null, dropped: [], matches: {}, errors: [] };
  const logs: ScriptLog[] = [];
  const sources: number[] = [];
  const lines: string[] = [];
  let [ran, chars] = [0, 0];
  for (const [index, input] of inputs.entries()) {
    if (chars > DEFAULT_CHAIN_LIMITS.outputChars) break;
    ran = index + 1;
    const outputs = await oneEvent(run, index, input, result.errors, logs);
    if (outputs.length === 0) result.dropped.push(index);
    for (const line of outputs) {
      sources.push(index);
      lines.push(line);
      chars += line.length + 1;
    }
  }
  result.matches = await run.isolate.match(lines);
  if (ran < inputs.length) result.ran = ran;
  if (sources.length !== ran || sources.some((source, i) => source !== i)) result.sources = sources;
  if (logs.length > 0) result.logs = logs;
  await run.body.write(encodeLines([JSON.stringify(result), ...lines]));
}

async function oneEvent(
  { bundle, isolate, skips, body, flush, within }: CarefulRun,
  index: number,
  input: string,
  errors: ScriptError[],
  logs: ScriptLog[],
): Promise<string[]> {
  let lines = [input];
  for (const [position, { id }] of bundle.scripts.entries()) {
    if (lines.length === 0) break;
    const isSkipped = skips.scripts.includes(id) || skips.events.some(([at, script]) => at === index && script === id);
    if (!isSkipped) {
      const progress: Progress = { event: index, script: id };
      await body.write(encoder.encode(`${JSON.stringify(progress)}\n`));
      await flush();
    }
    const step = await within(isolate.step(position, index, lines, isSkipped));
    lines = step.lines;
    logs.push(...step.logs);
    for (const error of step.errors) addError(errors, error);
  }
  return lines;
}

function addError(errors: ScriptError[], error: ScriptError): void {
  const known = errors.find(({ script, message }) => script === error.script && message === error.message);
  if (known === undefined) errors.push({ ...error });
  else known.count += error.count;
}
