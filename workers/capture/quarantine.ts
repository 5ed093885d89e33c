/**
 * A lane's quarantine: events that a script's error policy, or a restriction, keeps from all destinations until an operator
 * releases or discards them.
 *
 * Invariants (DESIGN section 3): 2 (what became of a seq is on disk before any outbox hears of its batch, so that a batch which comes
 * again after a crash is treated alike), 5 (a held event counts as dead at every destination, a discarded one as dropped, a released one
 * anew under its new seq), 7 (a released event keeps its uuid).
 *
 * Storage: `quarantine` has a row for each held event. `withheld` remembers the seqs of those that are held no longer, for as long as
 * the log may be read again from before them; and of those that had no room, whose destinations each get them as a dead letter.
 */
import type { Clock } from "../../shared/clock.ts";
import { AppError } from "../../shared/errors.ts";
import type { QuarantinePage, QuarantineQuery, QuarantineSelection } from "../../shared/lane-api.ts";
import { concatLines, encodeLines, lineStarts, sliceLines } from "../../shared/ndjson.ts";
import { appendRun, expandRuns } from "../../shared/runs.ts";
import { parseUuid, UUID_BYTES } from "../../shared/uuid.ts";
import type { Lane, LaneBatch } from "./lane.ts";
import { type Held, type QuarantineStore, quarantinedEvent } from "./quarantine-store.ts";
import type { Withheld } from "./share.ts";

export interface QuarantineLimits {
  /** Events held; what comes beyond them goes to the dead letters of every destination. */
  maxCount: number;
  /** Their bytes. */
  maxBytes: number;
}

/** Room for the hours until a script is mended; small enough that releasing all of it takes seconds and crowds out no log. */
export const DEFAULT_QUARANTINE_LIMITS: QuarantineLimits = { maxCount: 100_000, maxBytes: 268_435_456 };

/** An input of a batch that goes to the quarantine. */
export interface Found {
  index: number;
  script: string;
  message: string;
}

/** What `Found.script` is where a restriction and no script sent it. */
export const BY_RESTRICTION = "restriction";

const DEFAULT_PAGE_COUNT = 100;
const MAX_PAGE_COUNT = 1_000;
/** Of a page's events: below the 32 MiB that may pass between workers. */
const PAGE_BYTES = 8_000_000;
/** What one transaction releases: one row of the log. */
const RELEASE_COUNT = 500;
const RELEASE_BYTES = 1_000_000;
/** A text for people; scripts can throw whole documents. */
const MESSAGE_MAX_CHARS = 1_000;
/** Seqs are forgotten this often: what waits costs a few bytes each. */
const PRUNE_MS = 60_000;

export class Quarantine {
  readonly #lane: Lane;
  readonly #store: QuarantineStore;
  readonly #clock: Clock;
  readonly #limits: QuarantineLimits;
  #count: number;
  #bytes: number;
  /** No seq above it is held or withheld. */
  #lastSeq: number;
  #released: number;
  #discarded: number;
  #prunedAt: number;

  constructor(lane: Lane, store: QuarantineStore, clock: Clock, limits: QuarantineLimits = DEFAULT_QUARANTINE_LIMITS) {
    this.#lane = lane;
    this.#store = store;
    this.#clock = clock;
    this.#limits = limits;
    const { count, bytes } = store.totals();
    this.#count = count;
    this.#bytes = bytes;
    this.#lastSeq = store.lastSeq();
    this.#released = store.counter("released");
    this.#discarded = store.counter("discarded");
    this.#prunedAt = clock.now();
  }

  /** Events in it. */
  get count(): number {
    return this.#count;
  }
  /** Events that have left it by a new seq: the lane has numbered them twice. */
  get released(): number {
    return this.#released;
  }
  get discarded(): number {
    return this.#discarded;
  }

  /** What destinations do not get of the seqs (after, through]. */
  withheld(after: number, through: number): Withheld {
    return after >= this.#lastSeq ? new Map() : this.#store.withheld(after, through);
  }

  /** How many of the seqs above `seq` no destination gets. */
  countAbove(seq: number): number {
    return seq >= this.#lastSeq ? 0 : this.#store.countLeftOut(seq);
  }

  /** Decides for good, on disk, what becomes of these: they are held, or where there is no room become dead letters. */
  hold(batch: LaneBatch, found: readonly Found[]): void {
    const starts = lineStarts(batch.events);
    const tokens = expandRuns(batch.tokens);
    let [count, bytes] = [this.#count, this.#bytes];
    this.#lane.saveWith(() => {
      for (const { index, script, message } of found) {
        const seq = batch.after + 1 + index;
        const body = sliceLines(batch.events, starts, index, index + 1);
        if (count >= this.#limits.maxCount || bytes + body.length > this.#limits.maxBytes) {
          this.#store.insertWithheld(seq, reasonOf({ script, message }, "the quarantine is full"));
          continue;
        }
        const { event, distinct_id: distinctId } = decoded(body) as { event: string; distinct_id: string };
        const names = { event: String(event), distinctId: String(distinctId) };
        const [at, token] = [this.#clock.now(), tokens[index] as string];
        this.#store.insert({ seq, script, message: message.slice(0, MESSAGE_MAX_CHARS), at, token, ...names, body });
        count++;
        bytes += body.length;
      }
    });
    [this.#count, this.#bytes] = [count, bytes];
    this.#lastSeq = Math.max(this.#lastSeq, batch.through);
  }

  page(query: QuarantineQuery): QuarantinePage {
    const limit = Math.max(1, Math.min(query.limit ?? DEFAULT_PAGE_COUNT, MAX_PAGE_COUNT));
    const range = { after: query.after ?? 0, through: Number.MAX_SAFE_INTEGER };
    const { held, more } = this.#store.select(query, range, { limit, maxBytes: PAGE_BYTES });
    return {
      quarantined: held.map(quarantinedEvent),
      total: this.#store.count(query),
      next: more ? (held.at(-1)?.id ?? null) : null,
    };
  }

  /**
   * Puts those selected at the end of the log, a row's worth at a time; `turn` lets others work in between. Fewer where the lane is full;
   * throws `lane_full` where it takes none.
   */
  async release(selection: QuarantineSelection, turn: () => Promise<void>): Promise<number> {
    // What fails again meanwhile is not released again.
    const through = this.#store.lastId();
    let released = 0;
    for (let after = 0; ; await turn()) {
      const limits = { limit: RELEASE_COUNT, maxBytes: RELEASE_BYTES };
      const { held } = this.#store.select(selection, { after, through }, limits);
      const last = held.at(-1);
      if (last === undefined) return released;
      try {
        this.#release(held);
      } catch (error) {
        if (released > 0 && error instanceof AppError && error.code === "lane_full") return released;
        throw error;
      }
      released += held.length;
      after = last.id;
    }
  }

  #release(held: readonly Held[]): void {
    const uuids = new Uint8Array(held.length * UUID_BYTES);
    const tokens: [string, number][] = [];
    const lines = held.map(({ token, body }, i) => {
      const event = decoded(body);
      parseUuid(String(event.uuid), uuids, i * UUID_BYTES);
      appendRun(tokens, token, 1);
      if (event.quarantine === undefined) return body;
      // What a restriction held passes this time.
      delete event.quarantine;
      return encodeLines([JSON.stringify(event)]);
    });
    const counted = this.#released + held.length;
    this.#lane.takeBack({ events: concatLines(lines), uuids, tokens }, () => {
      this.#store.delete(held.map(({ id }) => id));
      for (const { seq } of held) this.#store.insertWithheld(seq, null);
      this.#store.setCounter("released", counted);
    });
    this.#released = counted;
    this.#count -= held.length;
    this.#bytes -= held.reduce((sum, { body }) => sum + body.length, 0);
  }

  discard(selection: QuarantineSelection): number {
    let gone = { count: 0, bytes: 0 };
    this.#lane.saveWith(() => {
      gone = this.#store.discard(selection);
      if (gone.count > 0) this.#store.setCounter("discarded", this.#discarded + gone.count);
    });
    this.#discarded += gone.count;
    this.#count -= gone.count;
    this.#bytes -= gone.bytes;
    return gone.count;
  }

  /** Forgets seqs that are not read again, once in a while. */
  prune(): void {
    const now = this.#clock.now();
    if (this.#lastSeq === 0 || now < this.#prunedAt + PRUNE_MS) return;
    this.#prunedAt = now;
    this.#store.prune(this.#lane.floor());
  }
}

/** For the dead letters of an event that would be in the quarantine, but for `why`. */
export function reasonOf({ script, message }: Pick<Found, "script" | "message">, why: string): string {
  const cause = script === BY_RESTRICTION ? "a restriction" : `script ${script}`;
  return `kept back by ${cause} (${message.slice(0, MESSAGE_MAX_CHARS)}); it is a dead letter because ${why}`;
}

const KEY = new TextEncoder().encode('"quarantine":"');
const [QUOTE, COLON, CLOSE] = [0x22, 0x3a, 0x7d];

/**
 * Events that a restriction has marked, where no sandbox looks at them. Capture writes the mark last into its line (encode.ts), so that the
 * end of each line is all that has to be looked at.
 */
export function markedEvents(events: Uint8Array): Found[] {
  const found: Found[] = [];
  const starts = lineStarts(events);
  for (let index = 0; index < starts.length - 1; index++) {
    const [start, end] = [starts[index] as number, (starts[index + 1] as number) - 1];
    if (!endsMarked(events, start, end)) continue;
    const { quarantine } = decoded(events.subarray(start, end));
    if (typeof quarantine === "string") found.push({ index, script: BY_RESTRICTION, message: quarantine });
  }
  return found;
}

/** Whether the last field of the object is the mark. */
function endsMarked(events: Uint8Array, start: number, end: number): boolean {
  if (events[end - 1] !== CLOSE || events[end - 2] !== QUOTE) return false;
  // Inside a text every quote follows a backslash: the first one that follows a colon opens it.
  let at = end - 3;
  while (at > start && !(events[at] === QUOTE && events[at - 1] === COLON)) at--;
  const from = at + 1 - KEY.length;
  return from > start && KEY.every((byte, i) => events[from + i] === byte);
}

const decoder = new TextDecoder();

function decoded(line: Uint8Array): Record<string, unknown> {
  return JSON.parse(decoder.decode(line)) as Record<string, unknown>;
}
