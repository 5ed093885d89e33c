/**
 * Runs a team's chain of scripts over a batch, inside the isolate.
 *
 * Invariants: 3 (order of events is kept; one event passes the whole chain before the next one starts), 7 (the first output of
 * an event keeps its uuid, further ones get one derived from it). Every input is accounted for: it gives lines or is dropped.
 * A script that fails is as if it had not run on that event, except for its id in `$transformations_failed`.
 *
 * An event stands as an object and as its JSON text, made once after every script: the text is the output line, proves that
 * the event can be serialised while its script can still be blamed, and is what the event is rebuilt from after a failure.
 * What the harness needs of the language is captured before any script runs.
 */
import type { Event } from "../../../shared/event.ts";
import { compileFilter, type Filter, type FilterTest } from "../../../shared/filter.ts";
import type { RunResult, ScriptError, ScriptLog } from "../../../shared/sandbox-api.ts";
import { deriveUuid } from "./derive-uuid.ts";
import { describeError, lineOf } from "./describe-error.ts";
import { ErrorBook } from "./error-book.ts";
import { asEvent, asLine, type Identity, OutputError } from "./output.ts";
import { Logs } from "./script-logs.ts";

const { parse, stringify } = JSON;
const { isArray } = Array;
const { freeze } = Object;
const { min } = Math;
const { then } = Promise.prototype;
const { apply } = Reflect;
const ignore = () => undefined;

/** Where a script's own steps are counted (fuel-tank.ts). */
export interface Tank {
  refill(steps: number): void;
  drain(): number;
  emptiedAt(): Error | null;
}

export interface ChainLimits {
  /** Steps of one script on one event. */
  eventSteps: number;
  /** Steps of one script over a batch: what a script that always runs dry may cost everybody else. */
  batchSteps: number;
  /** Steps of a script's top level. */
  loadSteps: number;
  /** Events that one event may become. */
  outputs: number;
  /** Characters of what one event may become, and beyond which a batch ends early. */
  outputChars: number;
}

/** An endless loop that does little ends after 1 to 5 ms. An ordinary script takes a few thousand steps. */
export const DEFAULT_CHAIN_LIMITS: ChainLimits = {
  eventSteps: 500_000,
  batchSteps: 20_000_000,
  loadSteps: 10_000_000,
  outputs: 100,
  // Twice of it, three bytes a character, is below the 32 MiB that may pass between isolates.
  outputChars: 5_000_000,
};

export interface ChainScript {
  id: string;
  module: string;
  inputs: Record<string, unknown>;
  /** Evaluates the module; its exports. */
  load(): Promise<Record<string, unknown>>;
}

export interface ChainOptions {
  team: string;
  scripts: ChainScript[];
  filters: Record<string, Filter>;
  tank: Tank;
  limits?: ChainLimits;
}

/** What not to run, by script id: on the whole batch, and by index of the event. */
export interface Skips {
  scripts: ReadonlySet<string>;
  events: ReadonlyMap<number, ReadonlySet<string>>;
}

export interface ChainOutput {
  result: RunResult;
  /** The events, a newline before each. */
  lines: string;
}

export interface StepOutput {
  lines: string[];
  errors: ScriptError[];
  logs: ScriptLog[];
}

interface Context {
  readonly team: string;
  readonly inputs: Record<string, unknown>;
  readonly geo: Event["geo"];
  readonly log: (...values: unknown[]) => void;
}

interface Loaded {
  id: string;
  module: string;
  load(): Promise<Record<string, unknown>>;
  inputs: Record<string, unknown>;
  /** Null until it has loaded, and where it cannot. */
  run: ((event: Event, context: Context) => unknown) | null;
  failure: string | null;
  stepsLeft: number;
}

interface Output {
  event: Event;
  line: string;
}

/** A run in progress. */
interface Batch {
  errors: ErrorBook;
  logs: Logs;
  skips: Skips;
  sources: number[];
  dropped: number[];
  matches: number[][];
  lines: string;
}

const NO_SKIPS: Skips = { scripts: new Set(), events: new Map() };

export class Chain {
  readonly #team: string;
  readonly #scripts: Loaded[];
  readonly #destinations: string[];
  readonly #tests: FilterTest[];
  readonly #tank: Tank;
  readonly #limits: ChainLimits;
  readonly #log: (...values: unknown[]) => void;
  #batch: Batch = newBatch(NO_SKIPS);
  #index = 0;
  #running = "";

  constructor(options: ChainOptions) {
    this.#team = options.team;
    this.#tank = options.tank;
    this.#limits = options.limits ?? DEFAULT_CHAIN_LIMITS;
    this.#scripts = options.scripts.map((script) => ({
      ...script,
      inputs: deepFreeze(parse(stringify(script.inputs)) as Record<string, unknown>),
      run: null,
      failure: null,
      stepsLeft: 0,
    }));
    this.#destinations = Object.keys(options.filters);
    this.#tests = Object.values(options.filters).map(compileFilter);
    this.#log = (...values) => this.#batch.logs.add(this.#running, this.#index, values);
  }

  /** `ctx.log`, also for `console`. */
  get log(): (...values: unknown[]) => void {
    return this.#log;
  }

  /** Runs NDJSON through the chain. */
  async run(text: string, skips: Skips = NO_SKIPS): Promise<ChainOutput> {
    for (const script of this.#scripts) if (!skips.scripts.has(script.id)) await this.#load(script);
    const batch = this.#begin(skips);
    const lines = text === "" ? [] : text.split("\n");
    const parsed = this.#scripts.length > 0 || this.#tests.length > 0;
    let ran = 0;
    for (let i = 0; i < lines.length && batch.lines.length <= this.#limits.outputChars; i++) {
      ran = i + 1;
      const line = lines[i] as string;
      this.#index = i;
      if (!parsed) {
        batch.lines += `\n${line}`;
        continue;
      }
      const before = batch.sources.length;
      this.#pass(0, parse(line) as Event, line);
      if (batch.sources.length === before) batch.dropped.push(i);
    }
    const result: RunResult = {
      sources: parsed && !isEachOnce(batch.sources, ran) ? batch.sources : null,
      dropped: batch.dropped,
      matches: this.#matches(batch),
      errors: batch.errors.list(),
    };
    if (ran < lines.length) result.ran = ran;
    if (batch.logs.list.length > 0) result.logs = batch.logs.list;
    return { result, lines: batch.lines };
  }

  /** Careful mode: one script on what has become of one event. `mark` applies its error policy instead of running it. */
  async step(script: number, index: number, lines: string[], mark: boolean): Promise<StepOutput> {
    const loaded = this.#scripts[script];
    if (loaded === undefined) throw new Error(`the bundle has no script ${script}`);
    if (!mark) await this.#load(loaded);
    const batch = this.#begin(NO_SKIPS);
    this.#index = index;
    const out: string[] = [];
    for (const line of lines) {
      const outputs = mark ? failed(loaded.id, line) : this.#call(script, parse(line) as Event, line);
      if (outputs === null) continue;
      for (const output of isArray(outputs) ? outputs : [outputs]) out.push(output.line);
    }
    return { lines: out, errors: batch.errors.list(), logs: batch.logs.list };
  }

  /** Careful mode: which lines each filtered destination takes. */
  match(lines: string[]): Record<string, number[]> {
    const batch = this.#begin(NO_SKIPS);
    for (const line of lines) this.#emit({ event: parse(line) as Event, line });
    return this.#matches(batch);
  }

  #begin(skips: Skips): Batch {
    this.#batch = newBatch(skips);
    for (let i = 0; i < this.#tests.length; i++) this.#batch.matches.push([]);
    for (const script of this.#scripts) script.stepsLeft = this.#limits.batchSteps;
    return this.#batch;
  }

  async #load(script: Loaded): Promise<void> {
    if (script.run !== null || script.failure !== null) return;
    this.#running = script.id;
    this.#tank.refill(this.#limits.loadSteps);
    try {
      const { transform } = await script.load();
      if (typeof transform === "function") script.run = transform as Loaded["run"];
      else script.failure = `its export "transform" is a ${typeof transform}, not a function`;
    } catch (error) {
      script.failure = `does not load: ${this.#describe(error, script, this.#limits.loadSteps)}`;
    } finally {
      this.#tank.drain();
    }
  }

  /** Sends an event through the scripts from `k` on, depth first. */
  #pass(k: number, event: Event, line: string): void {
    const script = this.#scripts[k];
    if (script === undefined) {
      this.#emit({ event, line });
      return;
    }
    const outputs = this.#isSkipped(script.id) ? failed(script.id, line) : this.#call(k, event, line);
    if (outputs === null) return;
    if (!isArray(outputs)) {
      this.#pass(k + 1, outputs.event, outputs.line);
      return;
    }
    for (let i = 0; i < outputs.length; i++) {
      const output = outputs[i] as Output;
      this.#pass(k + 1, output.event, output.line);
    }
  }

  #isSkipped(id: string): boolean {
    const { skips } = this.#batch;
    return skips.scripts.has(id) || (skips.events.size > 0 && skips.events.get(this.#index)?.has(id) === true);
  }

  /** One script on one event. Null where it was dropped. */
  #call(k: number, event: Event, line: string): Output | Output[] | null {
    const script = this.#scripts[k] as Loaded;
    const { run } = script;
    if (run === null) return this.#fail(script, line, script.failure ?? "has not been loaded");
    const budget = min(script.stepsLeft, this.#limits.eventSteps);
    if (budget <= 0) return this.#fail(script, line, `used up the ${this.#limits.batchSteps} steps of a batch`);
    const { uuid, timestamp, received_at, source, geo } = event;
    const context: Context = { team: this.#team, inputs: script.inputs, geo, log: this.#log };
    this.#running = script.id;
    let outputs: Output | Output[] | null = null;
    let failure: string | null = null;
    this.#tank.refill(budget);
    try {
      outputs = this.#collect(run(event, context), { uuid, timestamp, received_at, source }, k, line.length);
    } catch (error) {
      failure = this.#describe(error, script, budget);
    }
    // A script may have caught what the tank threw: it is stopped all the same.
    const dry = this.#tank.emptiedAt();
    if (dry !== null) failure = this.#describe(dry, script, budget);
    script.stepsLeft -= budget - this.#tank.drain();
    return failure === null ? outputs : this.#fail(script, line, failure);
  }

  #collect(returned: unknown, identity: Identity, k: number, length: number): Output | Output[] | null {
    if (returned === null || returned === undefined) return null;
    if (!isArray(returned)) {
      refusePromise(returned);
      const event = asEvent(returned, identity);
      return { event, line: asLine(event, length) };
    }
    if (returned.length > this.#limits.outputs) {
      throw new OutputError(`returned ${returned.length} events: at most ${this.#limits.outputs} are possible`);
    }
    const outputs: Output[] = [];
    let chars = 0;
    for (let i = 0; i < returned.length; i++) {
      const item: unknown = returned[i];
      if (item === null || item === undefined) continue;
      const position = outputs.length;
      const uuid = position === 0 ? identity.uuid : deriveUuid(identity.uuid, k, position);
      const line = asLine(asEvent(item, { ...identity, uuid }), length);
      chars += line.length;
      if (chars > this.#limits.outputChars) {
        throw new OutputError(`returned events of more than ${this.#limits.outputChars} characters together`);
      }
      // The same object twice is two events: from here on each is what its own line says.
      outputs.push({ event: parse(line) as Event, line });
    }
    return outputs.length === 0 ? null : outputs;
  }

  #describe(error: unknown, script: Loaded, budget: number): string {
    const dry = this.#tank.emptiedAt();
    if (dry === null) return error instanceof OutputError ? error.message : describeError(error, script.module);
    const line = lineOf(dry, script.module);
    return `ran out of fuel after ${budget} steps: it loops for ever or does too much${line === null ? "" : ` (line ${line})`}`;
  }

  #fail(script: Loaded, line: string, message: string): Output {
    this.#batch.errors.add(script.id, message, this.#index);
    return failed(script.id, line);
  }

  #emit({ event, line }: Output): void {
    const batch = this.#batch;
    const position = batch.sources.length;
    batch.sources[position] = this.#index;
    batch.lines += `\n${line}`;
    for (let i = 0; i < this.#tests.length; i++) {
      if (takes(this.#tests[i] as FilterTest, event, line)) (batch.matches[i] as number[]).push(position);
    }
  }

  #matches(batch: Batch): Record<string, number[]> {
    return Object.fromEntries(this.#destinations.map((id, i) => [id, batch.matches[i] ?? []]));
  }
}

function newBatch(skips: Skips): Batch {
  return { errors: new ErrorBook(), logs: new Logs(), skips, sources: [], dropped: [], matches: [], lines: "" };
}

function takes(test: FilterTest, event: Event, line: string): boolean {
  try {
    return test(event);
  } catch {
    // A getter that a script left in the event, without fuel by now: its line says what it gave.
    return test(parse(line) as Event);
  }
}

/** The event as it stood, with the script's id in `$transformations_failed`. */
function failed(id: string, line: string): Output {
  const event = parse(line) as Event;
  const earlier: unknown = event.properties.$transformations_failed;
  event.properties.$transformations_failed = isArray(earlier) ? [...earlier, id] : [id];
  return { event, line: stringify(event) };
}

function refusePromise(returned: object): void {
  if (typeof (returned as { then?: unknown }).then !== "function") return;
  // Its rejection is of no interest to anybody.
  if (returned instanceof Promise) apply(then, returned, [ignore, ignore]);
  throw new OutputError("transform must be synchronous: it returned a promise");
}

function isEachOnce(sources: readonly number[], count: number): boolean {
  if (sources.length !== count) return false;
  for (let i = 0; i < count; i++) if (sources[i] !== i) return false;
  return true;
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === "object") {
    for (const inner of Object.values(value)) deepFreeze(inner);
    freeze(value);
  }
  return value;
}
