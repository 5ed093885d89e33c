/**
 * One script of the isolate: loads it, runs it within its budget, makes events of what it returns, counts what it used.
 *
 * A call never throws: what goes wrong is a Failure, is written into the journal, and becomes what the caller's policy says.
 * A `transformBatch` that fails as a whole is called again for each event alone, so that only those that it cannot stand are
 * lost to it; such a call in vain is not charged to the batch's budget, so a script costs at most twice of it.
 */
import type { Event } from "../../../shared/event.ts";
import type { ScriptUse } from "../../../shared/sandbox-api.ts";
import type { ChainLimits, Tank } from "./chain-types.ts";
import { deriveUuid } from "./derive-uuid.ts";
import { type Authored, describeError, lineOf, stackOf } from "./describe-error.ts";
import type { Problem } from "./error-book.ts";
import type { Journal } from "./journal.ts";
import { asEvent, asLine, type Identity, identityOf, OutputError } from "./output.ts";
import { pairBatch } from "./pair-batch.ts";
import { type ContextClass, contextClass } from "./script-context.ts";
import { UseMeter } from "./script-use.ts";
import { type Idle, settled } from "./settle.ts";
import { asShapedEvent, isShape } from "./shaped-event.ts";
import type { TimeSlice } from "./time-slice.ts";

const { parse, stringify } = JSON;
const { isArray } = Array;
const { freeze } = Object;
const { min } = Math;
const { then } = Promise.prototype;
const { apply } = Reflect;
const ignore = () => undefined;

export interface ScriptSource {
  id: string;
  module: string;
  /** The module that its author wrote, where `module` wraps it. */
  authored?: string;
  inputs: Record<string, unknown>;
  credentials?: Record<string, string>;
  /** Evaluates the module; its exports. */
  load(): Promise<Record<string, unknown>>;
}

export interface ScriptOptions {
  team: string;
  /** Goes into derived uuids: different for the scripts that an event passes. */
  salt: number;
  /** A destination's script: may shape a request instead of returning an event. */
  shapes: boolean;
  tank: Tank;
  limits: ChainLimits;
  journal: Journal;
  idle: Idle;
  slice: TimeSlice;
}

/** An event as an object and as its line. */
export interface Output {
  /** Null where nobody has needed it yet: the line says what it is. */
  event: Event | null;
  line: string;
  /** A shaped request that leaves its body to the destination's settings, which want the event. Absent: it has one, or is an event. */
  isBodiless?: true;
}

/** An event on its way, and the input that it came from. */
export interface Item extends Output {
  at: number;
}

/** The script did not do its work on this event; it is in the journal. */
export class Failure {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** Null: dropped. */
export type Outcome = Output | Output[] | Failure | null;

type Transform = (event: Event, context: unknown) => unknown;
type TransformBatch = (events: Event[], context: unknown) => unknown;

export class Script {
  readonly id: string;
  readonly #load: () => Promise<Record<string, unknown>>;
  readonly #authored: Authored;
  /** Its module is a wrapper of ours around what its author wrote. */
  readonly #isWrapped: boolean;
  readonly #options: ScriptOptions;
  readonly #context: ContextClass;
  /** Null until it has loaded, and where it cannot. */
  #run: Transform | null = null;
  /** Null as well where it exports `transform`. */
  #runBatch: TransformBatch | null = null;
  /** It may return promises: only wrappers of other dialects say so. */
  #isAsync = false;
  #failure: Problem | null = null;
  #stepsLeft = 0;
  #use = new UseMeter();

  constructor(source: ScriptSource, options: ScriptOptions) {
    const { id, module, authored = module, inputs, credentials = {}, load } = source;
    this.id = id;
    this.#load = load;
    this.#authored = { id, module: authored };
    this.#isWrapped = authored !== module;
    this.#options = options;
    this.#context = contextClass({
      team: options.team,
      inputs: deepFreeze(parse(stringify(inputs)) as Record<string, unknown>),
      credentials: freeze({ ...credentials }),
      log: options.journal.log,
    });
  }

  /** It exports `transformBatch`, or may return promises: it is called by `callBatch`. Known once it has loaded. */
  get isBatch(): boolean {
    return this.#runBatch !== null || this.#isAsync;
  }

  get use(): ScriptUse | null {
    return this.#use.read(this.id);
  }

  /** A batch starts. */
  begin(): void {
    this.#stepsLeft = this.#options.limits.batchSteps;
    this.#use = new UseMeter();
  }

  async load(): Promise<void> {
    if (this.#run !== null || this.#failure !== null) return;
    const { tank, limits, journal } = this.#options;
    journal.running = this.id;
    tank.refill(limits.loadSteps);
    try {
      const { transform, transformBatch, asynchronous, setup } = await this.#load();
      this.#isAsync = this.#isWrapped && asynchronous === true;
      if (this.#isWrapped && typeof setup === "function")
        await settled(setup(new this.#context(undefined)), this.#options.idle);
      if (typeof transform === "function") this.#run = transform as Transform;
      else if (typeof transformBatch === "function") this.#takeBatch(transformBatch as TransformBatch);
      else this.#failure = noFunction(transform, transformBatch);
    } catch (error) {
      const { message, stack } = this.#problemOf(error, limits.loadSteps);
      this.#failure = { message: `does not load: ${message}`, stack };
    } finally {
      tank.drain();
    }
  }

  #takeBatch(runBatch: TransformBatch): void {
    this.#runBatch = runBatch;
    // One event is a batch of one.
    this.#run = (event, context) => runBatch([event], context);
  }

  /** Runs it on one event, which it may change; not for scripts that may return promises. */
  call(event: Event, line: string): Outcome {
    const run = this.#run;
    if (run === null) return this.#fail(this.#failure ?? NOT_LOADED);
    const budget = this.#fill();
    if (budget <= 0) return this.#fail(usedUp(this.#options.limits.batchSteps));
    const identity = identityOf(event);
    let outcome: Outcome = null;
    let problem: Problem | null = null;
    try {
      outcome = this.#outcomeOf(run(event, this.#contextOf(event)), event, identity, line.length);
    } catch (error) {
      problem = this.#problemOf(error, budget);
    }
    return this.#finish(outcome, problem, budget);
  }

  /** The same, for every script. */
  async callOne(event: Event, line: string): Promise<Outcome> {
    const run = this.#run;
    if (run === null || !this.#isAsync) return this.call(event, line);
    const budget = this.#fill();
    if (budget <= 0) return this.#fail(usedUp(this.#options.limits.batchSteps));
    const identity = identityOf(event);
    let outcome: Outcome = null;
    let problem: Problem | null = null;
    try {
      const returned = await settled(run(event, this.#contextOf(event)), this.#options.idle);
      outcome = this.#outcomeOf(returned, event, identity, line.length);
    } catch (error) {
      problem = this.#problemOf(error, budget);
    }
    return this.#finish(outcome, problem, budget);
  }

  #contextOf({ geo }: Event): unknown {
    return new this.#context(this.#runBatch === null ? geo : undefined);
  }

  /** Fills the tank for one event; the steps that it holds. */
  #fill(): number {
    const { tank, limits, journal } = this.#options;
    const budget = min(this.#stepsLeft, limits.eventSteps);
    journal.running = this.id;
    if (budget > 0) tank.refill(budget);
    return budget;
  }

  #finish(outcome: Outcome, problem: Problem | null, budget: number): Outcome {
    const { tank } = this.#options;
    // A script may have caught what the tank threw: it is stopped all the same.
    const dry = tank.emptiedAt();
    const found = dry === null ? problem : this.#problemOf(dry, budget);
    const steps = budget - tank.drain();
    this.#stepsLeft -= steps;
    this.#options.slice.spend(steps);
    this.#use.add(steps);
    if (found !== null) return this.#fail(found);
    if (outcome === null) this.#use.dropped++;
    return outcome;
  }

  /** Runs it on all items; an outcome for each. Null where that takes too much time, or gives more than one answer holds. */
  async callBatch(items: readonly Item[]): Promise<Outcome[] | null> {
    const runBatch = this.#runBatch;
    const { limits, journal, slice } = this.#options;
    const together = runBatch === null || items.length === 1 ? null : await this.#together(runBatch, items);
    if (together === "too much") return null;
    if (together !== null) return together;
    await slice.renew();
    const outcomes: Outcome[] = [];
    let chars = 0;
    for (let i = 0; i < items.length; i++) {
      const { at, event: fresh, line } = items[i] as Item;
      journal.index = at;
      // A call in vain may have changed it.
      const event = runBatch === null && fresh !== null ? fresh : (parse(line) as Event);
      const outcome = this.#isAsync ? await this.callOne(event, line) : this.call(event, line);
      chars += charsOf(outcome);
      if (chars > limits.outputChars) return null;
      outcomes.push(outcome);
      const next = items[i + 1];
      if (next !== undefined && next.at !== at && slice.isRestDue && (await slice.rest(next.at))) return null;
    }
    return outcomes;
  }

  /** All events in one call. Null where it has failed as a whole. */
  async #together(runBatch: TransformBatch, items: readonly Item[]): Promise<Outcome[] | "too much" | null> {
    const { tank, limits, journal, idle, slice } = this.#options;
    const budget = min(this.#stepsLeft, limits.eventSteps * items.length);
    if (budget <= 0) return null;
    const events = items.map(({ event, line }) => event ?? (parse(line) as Event));
    const identities = events.map(identityOf);
    journal.running = this.id;
    journal.index = (items[0] as Item).at;
    let results: (Output | Output[] | Problem | null)[] | "too much" | null = null;
    tank.refill(budget);
    try {
      // A copy: what the script does to the array is not done to ours.
      const returned = runBatch([...events], new this.#context(undefined));
      results = this.#settle(this.#isAsync ? await settled(returned, idle) : returned, items, events, identities);
    } catch {
      // What it was is asked of each event alone.
    }
    if (tank.emptiedAt() !== null) results = null;
    const steps = budget - tank.drain();
    slice.spend(steps);
    if (results === null || results === "too much") {
      this.#use.addSteps(steps);
      return results;
    }
    this.#stepsLeft -= steps;
    this.#use.addTogether(items.length, steps);
    return results.map((result, i) => {
      if (result === null) this.#use.dropped++;
      if (result === null || isArray(result) || "line" in result) return result;
      journal.index = (items[i] as Item).at;
      return this.#fail(result);
    });
  }

  /** What was returned, by position. Fuel still counts: getters and toJSON are the script's. */
  #settle(
    returned: unknown,
    items: readonly Item[],
    events: readonly Event[],
    identities: readonly Identity[],
  ): (Output | Output[] | Problem | null)[] | "too much" {
    const { tank, limits } = this.#options;
    const uuids = identities.map(({ uuid }) => uuid);
    const groups = pairBatch(arrayOf(returned), { events, uuids }, limits.outputs);
    const results: (Output | Output[] | Problem | null)[] = [];
    let chars = 0;
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i];
      const { line } = items[i] as Item;
      try {
        const outcome = group === undefined ? null : this.#ofGroup(group, identities[i] as Identity, line.length);
        // Whatever else it has built may be in several places: its line is what stays.
        if (outcome !== null && !isArray(outcome) && outcome.event !== events[i]) outcome.event = null;
        results.push(outcome);
        chars += charsOf(outcome);
      } catch (error) {
        if (tank.emptiedAt() !== null) throw error;
        results.push(this.#problemOf(error, 0));
      }
      if (chars > limits.outputChars) return "too much";
    }
    return results;
  }

  #ofGroup(group: unknown[], identity: Identity, length: number): Output | Output[] | null {
    return group.length === 1 ? this.#make(group[0], identity, length) : this.#fanOut(group, identity, length);
  }

  #outcomeOf(value: unknown, event: Event, identity: Identity, length: number): Output | Output[] | null {
    const returned = this.#runBatch === null ? value : this.#groupOf(value, event, identity);
    if (returned === null || returned === undefined) return null;
    if (isArray(returned)) return this.#fanOut(returned, identity, length);
    refusePromise(returned, "transform");
    return this.#make(returned, identity, length);
  }

  #groupOf(returned: unknown, event: Event, { uuid }: Identity): unknown[] | undefined {
    return pairBatch(arrayOf(returned), { events: [event], uuids: [uuid] }, this.#options.limits.outputs)[0];
  }

  #make(returned: unknown, identity: Identity, length: number): Output {
    if (this.#options.shapes && isShape(returned)) {
      const shaped = asShapedEvent(returned, identity);
      const output: Output = { event: null, line: asLine(shaped, length) };
      return shaped.$request.body === undefined ? { ...output, isBodiless: true } : output;
    }
    const { tank } = this.#options;
    const before = tank.level();
    const event = asEvent(returned, identity);
    const line = asLine(event, length);
    // What runs when it is read would run on the fuel, and in the name, of whoever reads it next.
    return { event: tank.level() === before ? event : null, line };
  }

  #fanOut(returned: readonly unknown[], identity: Identity, length: number): Output[] | null {
    const { limits, salt } = this.#options;
    const count = returned.length;
    if (count > limits.outputs) {
      throw new OutputError(`returned ${count} events: at most ${limits.outputs} are possible`);
    }
    const outputs: Output[] = [];
    let chars = 0;
    for (let i = 0; i < count; i++) {
      const item: unknown = returned[i];
      if (item === null || item === undefined) continue;
      const position = outputs.length;
      const uuid = position === 0 ? identity.uuid : deriveUuid(identity.uuid, salt, position);
      const output = this.#make(item, { ...identity, uuid }, length);
      // The same object twice is two events: from here on each is what its own line says.
      output.event = null;
      chars += output.line.length;
      if (chars > limits.outputChars) {
        throw new OutputError(`returned events of more than ${limits.outputChars} characters together`);
      }
      outputs.push(output);
    }
    return outputs.length === 0 ? null : outputs;
  }

  /** Reads what was thrown, which may run the script's own code: fuel still counts. */
  #problemOf(error: unknown, budget: number): Problem {
    const { tank, journal } = this.#options;
    let message = tank.emptiedAt() === null ? this.#messageOf(error) : "";
    // Reading it may be what took the last of the fuel.
    const dry = tank.emptiedAt();
    if (dry !== null) message = dryMessage(budget, lineOf(dry, this.#authored.module));
    const isKnown = journal.errors.has(this.id, message);
    return { message, stack: isKnown ? [] : stackOf(dry ?? error, this.#authored, journal.redact) };
  }

  #messageOf(error: unknown): string {
    if (isOutputError(error)) return error.message;
    return describeError(error, this.#authored, this.#options.journal.redact);
  }

  #fail(problem: Problem): Failure {
    const { journal } = this.#options;
    this.#use.errors++;
    journal.errors.add(this.id, problem, journal.index);
    return new Failure(problem.message);
  }
}

/** By what it is, not by what it says of its prototype: a Proxy answers that with code of its script's. */
function isOutputError(error: unknown): error is OutputError {
  try {
    return error instanceof OutputError;
  } catch {
    return false;
  }
}

const NOT_LOADED: Problem = { message: "has not been loaded", stack: [] };

function usedUp(steps: number): Problem {
  return { message: `used up the ${steps} steps of a batch`, stack: [] };
}

function noFunction(transform: unknown, transformBatch: unknown): Problem {
  const name = transform === undefined && transformBatch !== undefined ? "transformBatch" : "transform";
  const value = name === "transform" ? transform : transformBatch;
  return { message: `its export "${name}" is a ${typeof value}, not a function`, stack: [] };
}

function dryMessage(budget: number, line: number | null): string {
  return `ran out of fuel after ${budget} steps: it loops for ever or does too much${line === null ? "" : ` (line ${line})`}`;
}

function arrayOf(returned: unknown): readonly unknown[] {
  if (isArray(returned)) return returned;
  if (returned !== null && typeof returned === "object") refusePromise(returned, "transformBatch");
  throw new OutputError(
    `returned ${returned === null ? "null" : `a ${typeof returned}`}: transformBatch returns an array, with null for each event to drop`,
  );
}

function refusePromise(returned: object, entry: string): void {
  if (typeof (returned as { then?: unknown }).then !== "function") return;
  // Its rejection is of no interest to anybody.
  if (returned instanceof Promise) apply(then, returned, [ignore, ignore]);
  throw new OutputError(`${entry} must be synchronous: it returned a promise`);
}

function charsOf(outcome: Outcome): number {
  if (outcome === null || outcome instanceof Failure) return 0;
  if (!isArray(outcome)) return outcome.line.length;
  let chars = 0;
  for (let i = 0; i < outcome.length; i++) chars += (outcome[i] as Output).line.length;
  return chars;
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === "object") {
    for (const inner of Object.values(value)) deepFreeze(inner);
    freeze(value);
  }
  return value;
}
