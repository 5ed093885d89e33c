import { concatLines, lineStarts, sliceLines } from "../../shared/ndjson.ts";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { own } from "../../shared/own.ts";
import { appendRun, expandRuns } from "../../shared/runs.ts";
import type { OwnShare, RunResult } from "../../shared/sandbox-api.ts";
import { scriptFailure } from "../../shared/script-failure.ts";
import type { LaneBatch } from "./lane.ts";

/** A lane's batch after the scripts: what the destinations' shares are cut from. */
export interface Transformed {
  batch: LaneBatch;
  /** Null where the team has neither scripts nor filters: the events go on as they are. */
  run: Run | null;
}

interface Run {
  result: RunResult;
  events: Uint8Array;
}

/** Seqs that destinations do not get as they are: null where not at all, a text where as dead letters, for that reason. */
export type Withheld = ReadonlyMap<number, string | null>;

export type Share = Omit<OutboxAppend, "team" | "destination" | "lane">;

/** Lines of one text that go to one destination, and what became of the rest. Inputs are indexes into the batch, ascending. */
interface Cut {
  text: Uint8Array;
  starts: readonly number[];
  lines: readonly number[];
  /** For each of `lines`. */
  inputs: readonly number[];
  dead: readonly { line: number; reason: string }[];
  dropped: readonly number[];
  filtered: readonly number[];
  shaped?: true;
}

/**
 * What each destination gets of a batch (invariant 5): for each seq that is not withheld, every line that the team's scripts made of it is
 * in exactly one place, among the lines to send, dropped or filtered; a seq without lines is dropped once.
 */
export class Shares {
  readonly #batch: LaneBatch;
  readonly #run: Transformed["run"];
  readonly #withheld: Withheld;
  /** Of the run's text; all destinations share them. */
  #starts: readonly number[] | null = null;
  #tokens: string[] | null = null;

  constructor({ batch, run }: Transformed, withheld: Withheld) {
    this.#batch = batch;
    this.#run = run;
    this.#withheld = withheld;
  }

  of(destination: string): Share {
    if (this.#run === null) {
      return this.#withheld.size === 0 ? this.#whole(this.#batch.events) : this.#share(this.#inputs());
    }
    const { result, events } = this.#run;
    const taken = own(result.matches, destination);
    const ownShare = own(result.own ?? {}, destination);
    if (this.#withheld.size > 0 || result.sources !== null || taken !== undefined || ownShare !== undefined) {
      return this.#share(this.#cut(this.#run, destination, taken, ownShare));
    }
    return this.#whole(result.own === undefined ? events : sliceLines(events, this.#lineStarts(), 0, this.#count()));
  }

  /** One line for each input. */
  #whole(events: Uint8Array): Share {
    const { after, through, tokens } = this.#batch;
    return { after, through, events, seqs: null, tokens, dropped: [], filtered: [], expired: [] };
  }

  /** The batch as it was accepted. */
  #inputs(): Cut {
    const lines = range(0, this.#batch.through - this.#batch.after);
    const text = this.#batch.events;
    return { text, starts: lineStarts(text), lines, inputs: lines, dead: [], dropped: [], filtered: [] };
  }

  #cut(run: Run, destination: string, taken: readonly number[] | undefined, ownShare: OwnShare | undefined): Cut {
    const { result, events: text } = run;
    const starts = this.#lineStarts();
    const count = this.#count();
    const inputOf = (line: number) => (result.sources === null ? line : (result.sources[line] as number));
    const filtered = taken === undefined ? [] : missing(taken, count).map(inputOf);
    if (ownShare === undefined) {
      const lines = taken ?? range(0, count);
      return { text, starts, lines, inputs: lines.map(inputOf), dead: [], dropped: result.dropped, filtered };
    }
    const first = count + countBefore(result.own ?? {}, destination);
    return {
      ...{ text, starts, filtered },
      lines: range(first, first + ownShare.count),
      inputs: ownShare.sources.map(inputOf),
      dead: ownShare.dead.map(({ line, message }) => ({ line, reason: scriptFailure(message) })),
      dropped: [...result.dropped, ...ownShare.dropped.map(inputOf)],
      shaped: true,
    };
  }

  #lineStarts(): readonly number[] {
    this.#starts ??= lineStarts(this.#run?.events ?? new Uint8Array(0));
    return this.#starts;
  }

  /** Lines of the run that are events; those of destinations with scripts of their own follow. */
  #count(): number {
    const own = Object.values(this.#run?.result.own ?? {});
    return this.#lineStarts().length - 1 - own.reduce((sum, { count }) => sum + count, 0);
  }

  #share(cut: Cut): Share {
    const { after, through } = this.#batch;
    const { dropped, filtered } = cut;
    const isSent = (input: number) => !this.#withheld.has(this.#seqOf(input));
    const sent = this.#withheld.size === 0 ? withoutDead(cut) : this.#withDead(cut, isSent);
    const tokens: [string, number][] = [];
    this.#tokens ??= expandRuns(this.#batch.tokens);
    for (const input of sent.inputs) appendRun(tokens, this.#tokens[input] as string, 1);
    const seqOf = (input: number) => this.#seqOf(input);
    return {
      ...{ after, through, events: sent.events, seqs: sent.inputs.map(seqOf), tokens, expired: [] },
      dropped: dropped.filter(isSent).map(seqOf),
      filtered: filtered.filter(isSent).map(seqOf),
      ...(sent.dead.length > 0 ? { dead: [...sent.dead] } : {}),
      ...(cut.shaped === undefined ? {} : { shaped: true }),
    };
  }

  /** Leaves out the lines of what is withheld; what becomes a dead letter stands in its place as it was accepted. */
  #withDead(cut: Cut, isSent: (input: number) => boolean): Sent {
    const parts: Uint8Array[] = [];
    const inputs: number[] = [];
    const dead: { line: number; reason: string }[] = [];
    const reasons = new Map(cut.dead.map(({ line, reason }) => [line, reason]));
    const letters = [...this.#withheld].filter(([, reason]) => reason !== null).toSorted(([a], [b]) => a - b);
    const accepted = letters.length === 0 ? [] : lineStarts(this.#batch.events);
    const add = (text: Uint8Array, input: number, reason: string | null | undefined) => {
      if (reason != null) dead.push({ line: parts.length, reason });
      parts.push(text);
      inputs.push(input);
    };
    let next = 0;
    const addLetters = (until: number) => {
      for (let letter = letters[next]; letter !== undefined; letter = letters[++next]) {
        const input = letter[0] - this.#batch.after - 1;
        if (input >= until) return;
        add(sliceLines(this.#batch.events, accepted, input, input + 1), input, letter[1]);
      }
    };
    for (const [position, line] of cut.lines.entries()) {
      const input = cut.inputs[position] as number;
      if (!isSent(input)) continue;
      addLetters(input);
      add(sliceLines(cut.text, cut.starts, line, line + 1), input, reasons.get(position));
    }
    addLetters(this.#batch.through - this.#batch.after);
    return { events: concatLines(parts), inputs, dead };
  }

  #seqOf(input: number): number {
    return this.#batch.after + 1 + input;
  }
}

interface Sent {
  events: Uint8Array;
  inputs: readonly number[];
  dead: readonly { line: number; reason: string }[];
}

function withoutDead({ text, starts, lines, inputs, dead }: Cut): Sent {
  const [first, last] = [lines[0] ?? 0, lines.at(-1) ?? -1];
  const events =
    last - first + 1 === lines.length
      ? sliceLines(text, starts, first, last + 1)
      : concatLines(lines.map((line) => sliceLines(text, starts, line, line + 1)));
  return { events, inputs, dead };
}

/** For one destination alone. */
export function shareOf(transformed: Transformed, destination: string, withheld: Withheld = new Map()): Share {
  return new Shares(transformed, withheld).of(destination);
}

/** The seqs (after, until] that the log no longer has: the replay window's cap took them while the destination was parked. */
export function expiredShare(after: number, until: number, withheld: (through: number) => Withheld): Share {
  const through = Math.min(until, after + EXPIRED_COUNT);
  const leftOut = withheld(through);
  // Those that were to become dead letters are gone like the rest.
  const expired = range(after + 1, through + 1).filter((seq) => leftOut.get(seq) !== null);
  return { after, through, events: new Uint8Array(0), seqs: [], tokens: [], dropped: [], filtered: [], expired };
}

/** Expired seqs that one append reports at most. */
const EXPIRED_COUNT = 10_000;

/** Lines of the destinations before this one. */
function countBefore(own: Record<string, OwnShare>, destination: string): number {
  let count = 0;
  for (const [id, share] of Object.entries(own)) {
    if (id === destination) return count;
    count += share.count;
  }
  return count;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
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
