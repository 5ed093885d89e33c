import type { Event } from "../../shared/event.ts";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import type { OwnShare, Progress, RunResult, ScriptError, ScriptLog, ScriptUse } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";
import { DEFAULT_CHAIN_LIMITS, restrictionOf } from "./isolate/chain.ts";
import type { StepOutput } from "./isolate/chain-types.ts";
import { LOGS_PER_BATCH_COUNT } from "./isolate/script-logs.ts";
import type { BatchSkips, IsolateApi } from "./isolate-api.ts";
import { sumOfUse } from "./sum-of-use.ts";

export interface CarefulRun {
  bundle: Bundle;
  isolate: IsolateApi;
  events: Uint8Array;
  skips: BatchSkips;
  /** Runs this destination's script alone. */
  only: string | null;
  body: WritableStreamDefaultWriter<Uint8Array>;
  /** Resolves when what was written has left. */
  flush(): Promise<void>;
  /** Milliseconds. */
  now(): number;
  /** Rejects where a step does not end. */
  within<T>(work: Promise<T>): Promise<T>;
}

/** Then the batch ends early, and others have their turn: every step may take almost as long as the supervisor lets it, and writes a line. */
const SLICE_MS = 500;

const encoder = new TextEncoder();

/** A destination's own script, and what it has made so far. */
interface Own {
  destination: string;
  id: string;
  /** Among the bundle's. */
  position: number;
  lines: string[];
  share: OwnShare;
}

/**
 * Runs one event and one script at a time, naming both before, so that a death names its culprit. Writes the whole body.
 * A script that takes whole batches gets batches of one.
 */
export async function runCarefully(run: CarefulRun): Promise<void> {
  await new CarefulBatch(run).run();
}

class CarefulBatch {
  readonly #run: CarefulRun;
  readonly #result: RunResult = { sources: null, dropped: [], matches: {}, errors: [] };
  readonly #quarantined: NonNullable<RunResult["quarantined"]> = [];
  readonly #logs: ScriptLog[] = [];
  readonly #uses = new Map<string, ScriptUse>();
  readonly #sources: number[] = [];
  readonly #lines: string[] = [];
  readonly #own: Own[];
  #chars = 0;

  constructor(run: CarefulRun) {
    this.#run = run;
    const { filters, shapers = {} } = run.bundle;
    if (run.only === null) for (const destination of Object.keys(filters)) this.#result.matches[destination] = [];
    this.#own = Object.entries(shapers).map(([destination, { id }], position) => ({
      destination,
      id,
      position,
      lines: [],
      share: { count: 0, sources: [], dropped: [], dead: [] },
    }));
    if (run.only !== null) this.#own = this.#own.filter(({ destination }) => destination === run.only);
  }

  async run(): Promise<void> {
    const inputs = decodeLines(this.#run.events);
    const startedAt = this.#run.now();
    let ran = 0;
    for (const [index, input] of inputs.entries()) {
      if (this.#chars > DEFAULT_CHAIN_LIMITS.outputChars || this.#run.now() - startedAt > SLICE_MS) break;
      ran = index + 1;
      if (this.#run.only === null) await this.#input(index, input);
      else await this.#shape(index, [input], index, {});
    }
    const result = this.#result;
    if (ran < inputs.length) result.ran = ran;
    if (this.#sources.length !== ran || this.#sources.some((source, i) => source !== i)) result.sources = this.#sources;
    if (this.#quarantined.length > 0) result.quarantined = this.#quarantined;
    if (this.#logs.length > 0) result.logs = this.#logs.slice(0, LOGS_PER_BATCH_COUNT);
    const use = this.#inOrder();
    if (use.length > 0) result.use = use;
    if (this.#own.length > 0) {
      result.own = Object.fromEntries(this.#own.map(({ destination, share }) => [destination, share]));
    }
    const own = this.#own.flatMap(({ lines }) => lines);
    await this.#run.body.write(encodeLines([JSON.stringify(result), ...this.#lines, ...own]));
  }

  async #input(index: number, input: string): Promise<void> {
    const lines = await this.#chain(index, input);
    if (lines === null) return;
    if (lines.length === 0) this.#result.dropped.push(index);
    const start = this.#lines.length;
    for (const line of lines) {
      this.#sources.push(index);
      this.#lines.push(line);
      this.#chars += line.length + 1;
    }
    if (lines.length === 0 || Object.keys(this.#result.matches).length + this.#own.length === 0) return;
    const matches = await this.#run.isolate.match(lines);
    for (const [destination, positions] of Object.entries(matches)) {
      for (const position of positions) this.#result.matches[destination]?.push(start + position);
    }
    await this.#shape(index, lines, start, matches);
  }

  /** What the scripts used, in chain order, the destinations' own last. */
  #inOrder(): ScriptUse[] {
    const ids = [...this.#run.bundle.scripts, ...this.#own].map(({ id }) => id);
    return ids.map((id) => this.#uses.get(id)).filter((use) => use !== undefined);
  }

  /** Null where the input goes to the quarantine. */
  async #chain(index: number, input: string): Promise<string[] | null> {
    const { bundle, isolate, within } = this.#run;
    const halt = restrictionOf(JSON.parse(input) as Event);
    if (halt !== null) {
      this.#quarantined.push({ index, ...halt });
      return null;
    }
    let lines = [input];
    for (const [position, { id, source }] of bundle.scripts.entries()) {
      if (lines.length === 0) break;
      if (source !== undefined && !lines.some((line) => (JSON.parse(line) as Event).source === source)) continue;
      const mark = await this.#announce(index, id);
      const step = await within(isolate.step(position, index, lines, mark));
      this.#note(step);
      if (step.quarantined !== undefined) {
        this.#quarantined.push({ index, ...step.quarantined });
        return null;
      }
      lines = step.lines;
    }
    return lines;
  }

  async #shape(index: number, lines: string[], start: number, matches: Record<string, number[]>): Promise<void> {
    const { isolate, within } = this.#run;
    let room = DEFAULT_CHAIN_LIMITS.outputChars - lines.reduce((chars, { length }) => chars + length, 0);
    for (const { destination, id, position, lines: own, share } of this.#own) {
      const taken = matches[destination] ?? lines.map((_, i) => i);
      if (taken.length === 0) continue;
      const mark = await this.#announce(index, id);
      const given = taken.map((line) => lines[line] as string);
      const shaped = await within(isolate.shape(position, index, given, mark, room));
      this.#note(shaped);
      const lineOf = (line: number) => start + (taken[line] as number);
      share.sources.push(...shaped.share.sources.map(lineOf));
      share.dropped.push(...shaped.share.dropped.map(lineOf));
      share.dead.push(...shaped.share.dead.map(({ line, message }) => ({ line: own.length + line, message })));
      own.push(...shaped.lines);
      share.count = own.length;
      for (const { length } of shaped.lines) {
        room -= length;
        this.#chars += length;
      }
    }
  }

  /** Names what runs next, and waits until the name has left. True where it is not to run. */
  async #announce(index: number, script: string): Promise<boolean> {
    const { skips, body, flush } = this.#run;
    if (skips.scripts.includes(script) || skips.events.some(([at, id]) => at === index && id === script)) return true;
    const progress: Progress = { event: index, script };
    await body.write(encoder.encode(`${JSON.stringify(progress)}\n`));
    await flush();
    return false;
  }

  #note({ errors, logs, use }: Pick<StepOutput, "errors" | "logs" | "use">): void {
    this.#logs.push(...logs);
    if (use !== null) this.#uses.set(use.script, sumOfUse(this.#uses.get(use.script), use));
    for (const error of errors) addError(this.#result.errors, error);
  }
}

function addError(errors: ScriptError[], error: ScriptError): void {
  const known = errors.find(({ script, message }) => script === error.script && message === error.message);
  if (known === undefined) errors.push({ ...error });
  else known.count += error.count;
}
