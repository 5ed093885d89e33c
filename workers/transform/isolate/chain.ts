/**
 * Runs a team's scripts over a batch, inside the isolate: the chain, then the destinations' own.
 *
 * Invariants: 3 (order of events is kept: what a batch becomes stands in the order of its inputs, whatever a `transformBatch`
 * sorts), 5 (every input is accounted for once: it gives lines, is dropped, or is quarantined), 7 (the first output of an event
 * keeps its uuid, further ones get one derived from it). A script that fails is as if it had not run on that event, except for
 * what its error policy makes of the event.
 *
 * An event stands as an object and as its JSON text, made once after every script: the text is the output line, proves that
 * the event can be serialised while its script can still be blamed, and is what the event is rebuilt from after a failure.
 *
 * Events pass the chain depth first, one after the other. Where a script takes whole batches they pass it stage by stage instead
 * (#stage): between stages a line stands for its event, because a script may hold on to the objects that it returned.
 *
 * A destination's script runs when its input has passed the chain, each on an event parsed anew from the line.
 * What the harness needs of the language is captured before any script runs.
 */
import type { Event } from "../../../shared/event.ts";
import { compileFilter, type FilterTest } from "../../../shared/filter.ts";
import type { RunResult, ScriptUse } from "../../../shared/sandbox-api.ts";
import type {
  ChainLimits,
  ChainOptions,
  ChainOutput,
  ChainScript,
  Halt,
  ShapeOutput,
  Skips,
  StepOutput,
} from "./chain-types.ts";
import { DestinationShare, type ShaperPolicy } from "./destination-share.ts";
import { Journal } from "./journal.ts";
import { credentialRedactor } from "./redact-credentials.ts";
import { Failure, type Item, type Outcome, type Output, Script } from "./script.ts";
import type { Idle } from "./settle.ts";
import { TimeSlice } from "./time-slice.ts";

const { parse, stringify } = JSON;
const { isArray } = Array;
const { ceil, max, min } = Math;

/** An endless loop that does little ends after 1 to 5 ms. An ordinary script takes a few thousand steps. */
export const DEFAULT_CHAIN_LIMITS: ChainLimits = {
  eventSteps: 500_000,
  batchSteps: 20_000_000,
  loadSteps: 10_000_000,
  outputs: 100,
  // Twice of it, three bytes a character, is below the 32 MiB that may pass between isolates.
  outputChars: 5_000_000,
};

interface Link {
  script: Script;
  policy: ChainScript["on_error"];
  source: string | undefined;
  /** In this batch. */
  isSkipped: boolean;
}

interface PlacedItem extends Item {
  /** Of the line that it is. */
  position: number;
}

interface Shaper {
  destination: string;
  script: Script;
  policy: ShaperPolicy;
  /** Position of the destination's filter; -1 where it takes everything. */
  filter: number;
  isSkipped: boolean;
  share: DestinationShare;
}

/** A run in progress. */
interface Batch {
  skips: Skips;
  /** Inputs looked at. */
  ran: number;
  lines: string[];
  /** Of all lines, the destinations' own included. */
  chars: number;
  sources: number[];
  dropped: number[];
  quarantined: NonNullable<RunResult["quarantined"]>;
  matches: number[][];
}

const NO_SKIPS: Skips = { scripts: new Set(), events: new Map() };
/** Names the restrictions among scripts: capture has marked the event. */
const RESTRICTION = "restriction";
/** Without a clock a batch has all the time there is. */
const STANDS_STILL = () => 0;
/** Where nobody waits: what does not settle at once never does. */
const NOT_IDLE: Idle = async () => undefined;
const MARK = '"quarantine":';
const SKIPPED = "was not run: the sandbox had to be stopped while it ran";
/** Above the positions of any chain. */
const SHAPER_SALT = 0x7fff;

export class Chain {
  readonly #links: Link[];
  readonly #shapers: Shaper[];
  readonly #destinations: string[];
  readonly #tests: FilterTest[];
  readonly #limits: ChainLimits;
  readonly #journal: Journal;
  readonly #slice: TimeSlice;
  #batch: Batch = newBatch(NO_SKIPS, 0);
  /** Set while the input that is looked at goes to the quarantine. */
  #halt: Halt | null = null;
  /** Characters that the input may still become. */
  #room = 0;

  constructor({
    team,
    scripts,
    shapers = [],
    filters,
    tank,
    limits = DEFAULT_CHAIN_LIMITS,
    idle = NOT_IDLE,
    now = STANDS_STILL,
  }: ChainOptions) {
    this.#limits = limits;
    this.#slice = new TimeSlice(idle, now);
    this.#journal = new Journal(
      credentialRedactor([...scripts, ...shapers].map(({ credentials = {} }) => credentials)),
    );
    const options = { team, tank, limits, journal: this.#journal, idle, slice: this.#slice };
    this.#destinations = Object.keys(filters);
    this.#tests = Object.values(filters).map(compileFilter);
    this.#links = scripts.map((source, position) => ({
      script: new Script(source, { ...options, salt: position, shapes: false }),
      policy: source.on_error,
      source: source.source,
      isSkipped: false,
    }));
    this.#shapers = shapers.map((source) => ({
      destination: source.destination,
      script: new Script(source, { ...options, salt: SHAPER_SALT, shapes: true }),
      policy: source.on_error,
      filter: this.#destinations.indexOf(source.destination),
      isSkipped: false,
      share: new DestinationShare(),
    }));
  }

  /** `ctx.log`, also for `console`. */
  get log(): (...values: unknown[]) => void {
    return this.#journal.log;
  }

  /**
   * Runs NDJSON through the chain, and what it becomes through the destinations' scripts. `only`: a destination, whose script alone
   * is run, on events that have passed the chain and its filter before.
   */
  async run(text: string, skips: Skips = NO_SKIPS, only: string | null = null): Promise<ChainOutput> {
    if (only !== null) return this.#runOnly(text === "" ? [] : text.split("\n"), skips, only);
    for (const { script } of [...this.#links, ...this.#shapers]) if (!skips.scripts.has(script.id)) await script.load();
    const lines = text === "" ? [] : text.split("\n");
    const isStaged = [...this.#links, ...this.#shapers].some(({ script }) => script.isBatch);
    if (!isStaged) await this.#runEach(lines, skips);
    else for (let count = lines.length; !(await this.#runStaged(lines, count, skips)); ) count = this.#fewer(count);
    return this.#answer(lines.length, this.#shapers);
  }

  /** The answer has no event lines, and the share counts the inputs. */
  async #runOnly(lines: string[], skips: Skips, destination: string): Promise<ChainOutput> {
    const shaper = this.#shapers.find((each) => each.destination === destination);
    if (shaper === undefined) throw new Error(`the bundle has no script of destination "${destination}"`);
    if (!skips.scripts.has(shaper.script.id)) await shaper.script.load();
    for (let count = lines.length; !(await this.#shapeInputs(shaper, lines, count, skips)); )
      count = this.#fewer(count);
    const { result, lines: own } = this.#answer(lines.length, [shaper]);
    return { result: { ...result, sources: [], matches: {} }, lines: own };
  }

  async #shapeInputs(shaper: Shaper, lines: readonly string[], count: number, skips: Skips): Promise<boolean> {
    const batch = this.#begin(skips);
    if (!shaper.script.isBatch) {
      for (let i = 0; i < count && batch.chars <= this.#limits.outputChars; i++) {
        this.#open(i, lines[i] as string);
        batch.ran = i + 1;
        this.#shape(shaper, i, lines[i] as string);
        if (this.#isRestDue(i + 1, count) && (await this.#slice.rest(i + 1))) break;
      }
      return true;
    }
    batch.ran = count;
    const items = lines.slice(0, count).map((line, at) => ({ at, event: null, line, position: at }));
    await this.#shapeAll(shaper, items, count);
    return count <= 1 || batch.chars <= this.#limits.outputChars;
  }

  /** Careful mode: one script on what has become of one event. `mark` applies its error policy instead of running it. */
  async step(script: number, index: number, lines: string[], mark: boolean): Promise<StepOutput> {
    const link = this.#links[script];
    if (link === undefined) throw new Error(`the bundle has no script ${script}`);
    if (!mark) await link.script.load();
    this.#begin(NO_SKIPS);
    this.#open(index, "");
    const out: string[] = [];
    for (let i = 0; i < lines.length && this.#halt === null; i++) {
      const line = lines[i] as string;
      const event = parse(line) as Event;
      for (const output of asArray(await this.#runOne(link, event, line, mark))) {
        this.#take(output.line);
        out.push(output.line);
      }
    }
    const { errors, logs } = this.#journal;
    const step: StepOutput = { lines: out, errors: errors.list(), logs: logs.list, use: link.script.use };
    return this.#halt === null ? step : { ...step, lines: [], quarantined: this.#halt };
  }

  /** Careful mode: which lines each filtered destination takes. */
  match(lines: string[]): Record<string, number[]> {
    this.#begin(NO_SKIPS);
    this.#room = Number.POSITIVE_INFINITY;
    for (const line of lines) this.#emit(null, line);
    return this.#matches();
  }

  /** Careful mode: one destination's script on those of an input's lines that it takes. */
  async shape(shaper: number, index: number, lines: string[], mark: boolean, room: number): Promise<ShapeOutput> {
    const found = this.#shapers[shaper];
    if (found === undefined) throw new Error(`the bundle has no destination's script ${shaper}`);
    if (!mark) await found.script.load();
    this.#begin(NO_SKIPS);
    this.#journal.index = index;
    this.#room = room;
    found.isSkipped = mark;
    for (let position = 0; position < lines.length; position++) {
      await this.#shapeOne(found, position, lines[position] as string);
    }
    const { errors, logs } = this.#journal;
    const { share, script } = found;
    return { lines: share.lines, share: share.read(), errors: errors.list(), logs: logs.list, use: script.use };
  }

  #begin(skips: Skips): Batch {
    this.#journal.begin();
    this.#slice.begin();
    this.#batch = newBatch(skips, this.#tests.length);
    for (const each of [...this.#links, ...this.#shapers]) {
      each.script.begin();
      each.isSkipped = skips.scripts.has(each.script.id);
    }
    for (const shaper of this.#shapers) shaper.share = new DestinationShare();
    return this.#batch;
  }

  /** Between two inputs: after the last one the answer goes out anyway. */
  #isRestDue(next: number, count: number): boolean {
    return next < count && this.#slice.isRestDue;
  }

  /** With how many events what was too much for one answer, or for its time, starts again. */
  #fewer(count: number): number {
    const { overAt } = this.#slice;
    return overAt === null ? ceil(count / 2) : max(1, min(overAt, count - 1));
  }

  /** Event by event, depth first. Ends early where what they have become fills an answer, and where the time is over. */
  async #runEach(lines: readonly string[], skips: Skips): Promise<void> {
    const batch = this.#begin(skips);
    const isParsed = this.#links.length > 0 || this.#tests.length > 0 || this.#shapers.length > 0;
    for (let i = 0; i < lines.length && batch.chars <= this.#limits.outputChars; i++) {
      const line = lines[i] as string;
      const start = this.#open(i, line);
      if (!isParsed && !line.includes(MARK)) this.#emit(null, line);
      else {
        const event = parse(line) as Event;
        this.#halt = restrictionOf(event);
        if (this.#halt === null) this.#pass(0, event, line);
      }
      this.#close(start);
      if (this.#isRestDue(i + 1, lines.length) && (await this.#slice.rest(i + 1))) break;
    }
  }

  /** Sends an event through the scripts from `k` on. `event`: null where it has to be parsed. */
  #pass(k: number, event: Event | null, line: string): void {
    const link = this.#links[k];
    if (link === undefined) {
      this.#emit(event, line);
      return;
    }
    const given = event ?? (parse(line) as Event);
    if (!isFor(link, given)) {
      this.#pass(k + 1, given, line);
      return;
    }
    const outputs = this.#run(link, given, line, this.#isSkipped(link));
    if (outputs === null) return;
    if (!isArray(outputs)) {
      this.#pass(k + 1, outputs.event, outputs.line);
      return;
    }
    for (let i = 0; i < outputs.length && this.#halt === null; i++) {
      const output = outputs[i] as Output;
      this.#pass(k + 1, output.event, output.line);
    }
  }

  /** The first `count` events, script by script. False where they become too much for one answer, and are more than one. */
  async #runStaged(lines: readonly string[], count: number, skips: Skips): Promise<boolean> {
    const batch = this.#begin(skips);
    const halts = new Map<number, Halt>();
    let items: Item[] = [];
    for (let at = 0; at < count; at++) {
      const line = lines[at] as string;
      const event = parse(line) as Event;
      const halt = restrictionOf(event);
      if (halt === null) items.push({ at, event, line });
      else halts.set(at, halt);
    }
    for (const link of this.#links) {
      const next = await this.#stage(link, items, halts);
      if (next === null && count > 1) return false;
      if (next === null) halts.set(0, this.#overflow());
      items = next ?? [];
    }
    const areShaped = this.#shapers.some(({ script }) => !script.isBatch);
    if (areShaped) await this.#slice.renew();
    let next = 0;
    for (let at = 0; at < count; at++) {
      const start = this.#open(at, lines[at] as string);
      this.#halt = halts.get(at) ?? null;
      for (; items[next]?.at === at; next++) {
        const { event, line } = items[next] as Item;
        if (this.#halt === null) this.#emit(event, line);
      }
      this.#close(start);
      if (areShaped && this.#isRestDue(at + 1, count) && (await this.#slice.rest(at + 1))) break;
    }
    for (const shaper of this.#shapers)
      if (shaper.script.isBatch) await this.#shapeAll(shaper, this.#taken(shaper), count);
    return count <= 1 || batch.chars <= this.#limits.outputChars;
  }

  /** One script on all events. Null where they become too much for one answer, or take too much time. */
  async #stage(link: Link, items: readonly Item[], halts: Map<number, Halt>): Promise<Item[] | null> {
    // Before anything runs: a script may change what the source is told by.
    const runs = items.map((item) => this.#isRun(link, item));
    const { isBatch } = link.script;
    await this.#slice.renew();
    const together = isBatch ? await callTogether(link.script, items, runs) : [];
    if (together === null) return null;
    const staged: Item[] = [];
    let [chars, used] = [0, 0];
    for (let i = 0; i < items.length; i++) {
      const item = items[i] as Item;
      const { at, line } = item;
      const event = item.event as Event;
      if (runs[i] === "pass") {
        staged.push(item);
        continue;
      }
      this.#journal.index = at;
      this.#halt = null;
      let outcome: Outcome = new Failure(SKIPPED);
      if (runs[i] === "run") outcome = isBatch ? (together[used++] as Outcome) : link.script.call(event, line);
      for (const output of asArray(this.#settle(link, line, outcome))) {
        chars += output.line.length;
        staged.push({ at, event: output.event === event ? event : null, line: output.line });
      }
      if (this.#halt !== null && !halts.has(at)) halts.set(at, this.#halt);
      if (chars > this.#limits.outputChars) return null;
      const next = items[i + 1];
      if (isBatch || next === undefined || next.at === at) continue;
      if (this.#slice.isRestDue && (await this.#slice.rest(next.at))) return null;
    }
    this.#halt = null;
    return halts.size === 0 ? staged : staged.filter(({ at }) => !halts.has(at));
  }

  /** Whether the script runs on an item, which it parses. */
  #isRun(link: Link, item: Item): "run" | "skip" | "pass" {
    this.#journal.index = item.at;
    item.event ??= parse(item.line) as Event;
    if (!isFor(link, item.event)) return "pass";
    return this.#isSkipped(link) ? "skip" : "run";
  }

  #isSkipped({ script, isSkipped }: Link | Shaper): boolean {
    const { events } = this.#batch.skips;
    return isSkipped || (events.size > 0 && events.get(this.#journal.index)?.has(script.id) === true);
  }

  #run(link: Link, event: Event, line: string, isSkipped: boolean): Output | Output[] | null {
    return this.#settle(link, line, isSkipped ? new Failure(SKIPPED) : link.script.call(event, line));
  }

  /** The same for every script, also those that return promises; leaves events of other sources alone. */
  async #runOne(link: Link, event: Event, line: string, isSkipped: boolean): Promise<Output | Output[] | null> {
    if (!isFor(link, event)) return { event, line };
    return this.#settle(link, line, isSkipped ? new Failure(SKIPPED) : await link.script.callOne(event, line));
  }

  /** What becomes of an event that a script has run on, or has failed on: null where it ends here. */
  #settle({ script, policy }: Link, line: string, outcome: Outcome): Output | Output[] | null {
    if (!(outcome instanceof Failure)) return outcome;
    if (policy === "pass") return marked(script.id, line);
    if (policy === "quarantine") this.#halt = { script: script.id, message: outcome.message };
    return null;
  }

  /** An input's turn. Returns where its lines start. */
  #open(index: number, line: string): number {
    this.#journal.index = index;
    this.#room = max(this.#limits.outputChars, line.length);
    this.#halt = null;
    return this.#batch.lines.length;
  }

  /** The input has passed the chain. */
  #close(start: number): void {
    const batch = this.#batch;
    const { index } = this.#journal;
    batch.ran = index + 1;
    if (this.#halt !== null) {
      this.#takeBack(start);
      batch.quarantined.push({ index, ...this.#halt });
    } else if (batch.lines.length === start) {
      batch.dropped.push(index);
    } else {
      for (let i = 0; i < this.#shapers.length; i++) {
        const shaper = this.#shapers[i] as Shaper;
        if (!shaper.script.isBatch) this.#shapeFrom(shaper, start);
      }
    }
  }

  #emit(event: Event | null, line: string): void {
    const batch = this.#batch;
    const position = batch.lines.length;
    this.#take(line);
    batch.chars += line.length + 1;
    batch.lines.push(line);
    batch.sources.push(this.#journal.index);
    if (this.#tests.length === 0) return;
    const given = event ?? (parse(line) as Event);
    for (let i = 0; i < this.#tests.length; i++) {
      if (takes(this.#tests[i] as FilterTest, given, line)) (batch.matches[i] as number[]).push(position);
    }
  }

  /** A line of the input takes room. */
  #take(line: string): void {
    this.#room -= line.length;
    if (this.#room < 0) this.#halt ??= this.#overflow();
  }

  /** To the quarantine, whatever the policy: on any other way the event would miss some of its scripts. */
  #overflow(): Halt {
    const script = this.#journal.running;
    const message = `made more than ${this.#limits.outputChars} characters of one event`;
    this.#journal.errors.add(script, { message, stack: [] }, this.#journal.index);
    return { script, message };
  }

  /** Takes back the lines from `start` on, all of the input that is looked at. */
  #takeBack(start: number): void {
    const batch = this.#batch;
    for (let i = start; i < batch.lines.length; i++) batch.chars -= (batch.lines[i] as string).length + 1;
    batch.lines.length = start;
    batch.sources.length = start;
    for (const matches of batch.matches) while ((matches.at(-1) ?? -1) >= start) matches.pop();
  }

  /** A destination's script on the lines from `start` on that the destination takes. */
  #shapeFrom(shaper: Shaper, start: number): void {
    const { lines, matches } = this.#batch;
    const taken = matches[shaper.filter];
    if (taken === undefined) {
      for (let position = start; position < lines.length; position++) {
        this.#shape(shaper, position, lines[position] as string);
      }
      return;
    }
    let first = taken.length;
    while (first > 0 && (taken[first - 1] as number) >= start) first--;
    for (let i = first; i < taken.length; i++) {
      const position = taken[i] as number;
      this.#shape(shaper, position, lines[position] as string);
    }
  }

  #shape(shaper: Shaper, position: number, line: string): void {
    const isSkipped = this.#isSkipped(shaper);
    this.#place(
      shaper,
      position,
      line,
      isSkipped ? new Failure(SKIPPED) : shaper.script.call(parse(line) as Event, line),
    );
  }

  /** The same for every script, also those that return promises. */
  async #shapeOne(shaper: Shaper, position: number, line: string): Promise<void> {
    const isSkipped = this.#isSkipped(shaper);
    const event = parse(line) as Event;
    this.#place(shaper, position, line, isSkipped ? new Failure(SKIPPED) : await shaper.script.callOne(event, line));
  }

  #place({ share, script, policy }: Shaper, position: number, line: string, outcome: Outcome): void {
    const chars = share.add(position, line, outcome, policy, this.#room);
    if (chars < 0) {
      const message = `dropped an event here: what becomes of one event may have ${this.#limits.outputChars} characters together`;
      this.#journal.errors.add(script.id, { message, stack: [] }, this.#journal.index);
      return;
    }
    this.#room -= chars;
    this.#batch.chars += chars;
  }

  /** The lines that a destination takes. */
  #taken({ filter }: Shaper): PlacedItem[] {
    const { lines, sources, matches } = this.#batch;
    const positions = matches[filter] ?? lines.map((_, position) => position);
    return positions.map((position) => {
      return { at: sources[position] as number, event: null, line: lines[position] as string, position };
    });
  }

  /** A destination's `transformBatch` on what comes of `count` inputs. */
  async #shapeAll(shaper: Shaper, items: readonly PlacedItem[], count: number): Promise<void> {
    // One event alone has to fit; of several that do not, fewer are run.
    this.#room = count > 1 ? Number.POSITIVE_INFINITY : max(0, this.#limits.outputChars - this.#batch.chars);
    const runs = items.map(({ at }) => {
      this.#journal.index = at;
      return this.#isSkipped(shaper) ? "skip" : "run";
    });
    const outcomes = await callTogether(shaper.script, items, runs);
    if (outcomes === null && count > 1) {
      this.#batch.chars = Number.POSITIVE_INFINITY;
      return;
    }
    let used = 0;
    for (let i = 0; i < items.length; i++) {
      const { at, position, line } = items[i] as PlacedItem;
      this.#journal.index = at;
      if (outcomes === null || runs[i] === "skip") await this.#shapeOne(shaper, position, line);
      else this.#place(shaper, position, line, outcomes[used++] as Outcome);
    }
  }

  #answer(count: number, shapers: readonly Shaper[]): ChainOutput {
    const { ran, lines, sources, dropped, quarantined } = this.#batch;
    const { errors, logs } = this.#journal;
    const result: RunResult = {
      sources: isEachOnce(sources, ran) ? null : sources,
      dropped,
      matches: this.#matches(),
      errors: errors.list(),
    };
    if (ran < count) result.ran = ran;
    if (quarantined.length > 0) result.quarantined = quarantined;
    if (logs.list.length > 0) result.logs = logs.list;
    const use = [...this.#links, ...this.#shapers].map(({ script }) => script.use).filter(isUse);
    if (use.length > 0) result.use = use;
    if (shapers.length === 0) return { result, lines };
    result.own = Object.fromEntries(shapers.map(({ destination, share }) => [destination, share.read()]));
    return { result, lines: lines.concat(...shapers.map(({ share }) => share.lines)) };
  }

  #matches(): Record<string, number[]> {
    return Object.fromEntries(this.#destinations.map((id, i) => [id, this.#batch.matches[i] ?? []]));
  }
}

function newBatch(skips: Skips, filters: number): Batch {
  const matches = Array.from({ length: filters }, (): number[] => []);
  return { skips, ran: 0, lines: [], chars: 0, sources: [], dropped: [], quarantined: [], matches };
}

function isFor({ source }: Link, event: Event): boolean {
  return source === undefined || source === event.source;
}

async function callTogether(
  script: Script,
  items: readonly Item[],
  runs: readonly string[],
): Promise<Outcome[] | null> {
  const given = items.filter((_, i) => runs[i] === "run");
  return given.length === 0 ? [] : script.callBatch(given);
}

/** Why an event that capture has marked goes to the quarantine. */
export function restrictionOf({ quarantine }: Event): Halt | null {
  return typeof quarantine === "string" ? { script: RESTRICTION, message: quarantine } : null;
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
function marked(id: string, line: string): Output {
  const event = parse(line) as Event;
  const earlier: unknown = event.properties.$transformations_failed;
  event.properties.$transformations_failed = isArray(earlier) ? [...earlier, id] : [id];
  return { event, line: stringify(event) };
}

function asArray(outputs: Output | Output[] | null): Output[] {
  if (outputs === null) return [];
  return isArray(outputs) ? outputs : [outputs];
}

function isUse(use: ScriptUse | null): use is ScriptUse {
  return use !== null;
}

function isEachOnce(sources: readonly number[], count: number): boolean {
  if (sources.length !== count) return false;
  for (let i = 0; i < count; i++) if (sources[i] !== i) return false;
  return true;
}
