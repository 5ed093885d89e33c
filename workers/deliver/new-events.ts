import { lineStarts, sliceLines } from "../../shared/ndjson.ts";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { expandRuns, sliceRuns } from "../../shared/runs.ts";
import type { NewDeadLetter } from "./dead-letter-store.ts";
import { namesOf } from "./dead-letters.ts";
import type { Chunk } from "./outbox-store.ts";

/** The part of an append that the outbox has not seen yet. */
export interface NewEvents {
  events: Uint8Array;
  starts: number[];
  tokens: [string, number][];
  count: number;
  /** Of those that are to be sent: the rest is in `dead`. */
  toSend: { count: number; bytes: number };
  /** Line → why the destination's script has made nothing of it. */
  dead: ReadonlyMap<number, string>;
  /** Results beyond one per event accepted. */
  emitted: number;
  dropped: number;
  filtered: number;
  expired: number;
}

/**
 * Leaves out what comes from seqs at or below `after`. Throws where the lines and their seqs do not match: taking them would lose
 * or double events.
 */
export function newEvents(append: OutboxAppend, after: number): NewEvents {
  const starts = lineStarts(append.events);
  const lines = starts.length - 1;
  const seqs = append.seqs;
  const expected = seqs?.length ?? append.through - append.after;
  if (lines !== expected) {
    throw new Error(`append of lane ${append.lane} has ${lines} events for ${expected} seqs: nothing was taken`);
  }
  const first = seqs === null ? after - append.after : firstAbove(seqs, after);
  const above = (list: readonly number[]) => list.filter((seq) => seq > after);
  const [dropped, filtered, expired] = [above(append.dropped), above(append.filtered), above(append.expired)];
  const count = lines - first;
  const results = count + dropped.length + filtered.length + expired.length;
  const fresh = seqs === null ? null : seqs.slice(first);
  const sources = fresh === null ? count : new Set([...fresh, ...dropped, ...filtered, ...expired]).size;
  const dead = new Map<number, string>();
  const toSend = { count, bytes: (starts[lines] as number) - (starts[first] as number) };
  for (const { line, reason } of append.dead ?? []) {
    if (!(line < lines)) throw new Error(`append of lane ${append.lane} has no line ${line}: nothing was taken`);
    if (line < first) continue;
    dead.set(line - first, reason);
    toSend.count -= 1;
    toSend.bytes -= (starts[line + 1] as number) - (starts[line] as number);
  }
  return {
    events: append.events,
    starts: starts.slice(first),
    tokens: sliceRuns(append.tokens, first, lines),
    ...{ count, toSend, dead },
    emitted: results - sources,
    ...{ dropped: dropped.length, filtered: filtered.length, expired: expired.length },
  };
}

/** What a Durable Object's row can hold (2 MB), less what else is in it. */
const MAX_EVENT_BYTES = 1_900_000;

/** Chunks of at most `maxBytes`, and one dead letter for each event that the script failed on or that no row can hold. In order. */
export function* splitEvents(
  taken: Pick<NewEvents, "events" | "starts" | "tokens" | "count" | "dead">,
  maxBytes: number,
  now: number,
): Generator<Omit<Chunk, "id"> | { dead: NewDeadLetter }> {
  const { starts, events, tokens, dead } = taken;
  const fits = (from: number, to: number) =>
    !dead.has(to) && (starts[to + 1] as number) - (starts[from] as number) <= maxBytes;
  for (let from = 0; from < taken.count; ) {
    let to = from + 1;
    const failure = dead.get(from);
    while (failure === undefined && to < taken.count && fits(from, to)) to++;
    const lines = sliceLines(events, starts, from, to);
    const token = () => expandRuns(sliceRuns(tokens, from, to))[0] ?? "";
    if (lines.length > MAX_EVENT_BYTES && to === from + 1) {
      yield { dead: oversized(lines, token(), now) };
    } else if (failure !== undefined) {
      yield { dead: unshaped(lines, token(), failure, now) };
    } else {
      const bytes = (starts[to] as number) - (starts[from] as number);
      yield { acceptedAt: now, count: to - from, bytes, tokens: sliceRuns(tokens, from, to), events: lines };
    }
    from = to;
  }
}

function oversized(line: Uint8Array, token: string, diedAt: number): NewDeadLetter {
  const reason = `the event is ${line.length} bytes, and at most ${MAX_EVENT_BYTES} can be stored: its body was not kept`;
  return { diedAt, ...namesOf(line), token, attempts: 0, reason, status: null, response: null, body: null };
}

function unshaped(line: Uint8Array, token: string, reason: string, diedAt: number): NewDeadLetter {
  const rest = { attempts: 0, reason, status: null, response: null, unshaped: true };
  return { diedAt, ...namesOf(line), token, body: line, ...rest };
}

function firstAbove(ascending: readonly number[], limit: number): number {
  const at = ascending.findIndex((seq) => seq > limit);
  return at === -1 ? ascending.length : at;
}
