import { lineStarts, sliceLines } from "../../shared/ndjson.ts";
import type { LogRow } from "./lane-store.ts";

/** A row of the log as it is read: its lines are found only where a batch ends inside it. */
export class LaneRow {
  readonly firstSeq: number;
  readonly count: number;
  readonly tokens: readonly [string, number][];
  readonly #events: Uint8Array;
  #starts: number[] | null = null;

  constructor(row: LogRow) {
    this.firstSeq = row.firstSeq;
    this.count = row.count;
    this.tokens = row.tokens;
    this.#events = row.events;
  }

  /** The seq after its last one. */
  get endSeq(): number {
    return this.firstSeq + this.count;
  }

  get bytes(): number {
    return this.#events.length;
  }

  /** Where the lines that begin at `from` and take at most `room` bytes end; not beyond `end`. */
  fit(from: number, end: number, room: number): number {
    if (from === 0 && end === this.count && this.#events.length <= room) return end;
    const starts = this.#lineStarts();
    const limit = (starts[from] as number) + room;
    let to = from;
    // A line's end is the next one's start, less the newline.
    while (to < end && (starts[to + 1] as number) - 1 <= limit) to++;
    return to;
  }

  lines(from: number, to: number): Uint8Array {
    if (from === 0 && to === this.count) return this.#events;
    return sliceLines(this.#events, this.#lineStarts(), from, to);
  }

  #lineStarts(): number[] {
    this.#starts ??= lineStarts(this.#events);
    return this.#starts;
  }
}
