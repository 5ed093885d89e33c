import { encodeLines } from "../../shared/ndjson.ts";
import type { ArchiveReplay } from "../../shared/replay-api.ts";
import type { ReplayStep } from "../../shared/replay-jobs.ts";
import type { Replay, ReplayStore } from "../../shared/replay-store.ts";
import { appendRun } from "../../shared/runs.ts";
import type { Archive, ArchiveObject } from "./archive.ts";
import { withoutToken } from "./destinations/archive-lines.ts";
import type { Outbox } from "./outbox.ts";
import type { Reshaped } from "./reshaped.ts";

/**
 * Brings an archive's events of a time into this outbox, an object at a time.
 *
 * Invariants: 2 (the events and the position move in one transaction), 5 (every event of that time is counted as accepted once more, also
 * where the destination's filter or script leaves it out), 7 (events keep their uuids and tokens).
 */
export interface ArchiveReplayDeps {
  outbox: Outbox;
  store: Pick<ReplayStore<ArchiveReplay, ArchivePosition>, "advance">;
  /** Throws where there is no such archive, or its configuration cannot be read. */
  archive: (team: string, id: string) => Promise<Archive>;
  /** Whether the destination's filter takes an event. */
  filter: (team: string, destination: string) => Promise<(event: object) => boolean>;
  /** Runs the destination's script on events, NDJSON: on all of them or the first. */
  reshape: (destination: string, events: Uint8Array) => Promise<Reshaped | { problem: string }>;
}

export interface ArchivePosition {
  /** The object that it is in, or has just left; null before the first. */
  key: string | null;
  /** Lines of it that are done; null: all of them. */
  line: number | null;
  /** Lines taken so far, over all objects. */
  seq: number;
}

export const ARCHIVE_START: ArchivePosition = { key: null, line: null, seq: 0 };

type Job = Replay<ArchiveReplay, ArchivePosition>;

/** What one replay keeps in memory between its steps: an object, and the keys behind it. */
interface Open {
  object: ArchiveObject | null;
  keys: string[];
  last: boolean;
}

/** Of one append. */
const STEP_BYTES = 1_000_000;

export class ArchiveReplays {
  readonly #deps: ArchiveReplayDeps;
  readonly #open = new Map<string, Open>();

  constructor(deps: ArchiveReplayDeps) {
    this.#deps = deps;
  }

  async step(job: Job, maxEvents: number): Promise<ReplayStep> {
    const object = await this.#object(job);
    if (object === null) {
      this.#open.delete(job.id);
      return { step: "done" };
    }
    const position = job.position.key === object.key ? job.position : { ...job.position, key: object.key, line: 0 };
    return this.#take({ ...job, position }, object, maxEvents);
  }

  /** The object to go on in; null where there is none left. */
  async #object({ id, request, position }: Job): Promise<ArchiveObject | null> {
    const open = this.#open.get(id) ?? { object: null, keys: [], last: false };
    this.#open.set(id, open);
    const isInside = position.key !== null && position.line !== null;
    if (isInside && open.object?.key === position.key) return open.object;
    const archive = await this.#deps.archive(request.team, request.archive);
    if (!isInside && open.keys.length === 0) {
      if (open.last) return null;
      Object.assign(open, await archive.keys(position.key, Date.parse(request.since), Date.parse(request.until)));
    }
    const key = isInside ? position.key : open.keys.shift();
    open.object = null;
    open.object = key == null ? null : await archive.object(key);
    return open.object;
  }

  async #take(job: Job, object: ArchiveObject, maxEvents: number): Promise<ReplayStep> {
    const { outbox } = this.#deps;
    const { team, destination } = job.request;
    const accepts = await this.#deps.filter(team, destination);
    const read = readLines(object, job.position.line ?? 0, job.request, accepts, maxEvents);
    const events = encodeLines(read.chosen.map(({ line }) => line));
    const made = read.chosen.length === 0 ? NOTHING : await this.#deps.reshape(destination, events);
    if ("problem" in made) return { step: "wait", problem: made.problem };
    // A script that ran on the first ones only: the lines behind them are the next step's.
    const end = made.ran === read.chosen.length ? read.end : (read.chosen[made.ran]?.index ?? read.end);
    const first = job.position.line ?? 0;
    const seqOf = (index: number) => job.position.seq + 1 + index - first;
    const through = seqOf(end - 1);
    const filtered = read.filtered.filter((index) => index < end);
    const tokens: [string, number][] = [];
    const chosen = (source: number) => read.chosen[source] as Chosen;
    for (const source of made.share.sources) appendRun(tokens, chosen(source).token, 1);
    const isEnd = end >= object.starts.length - 2;
    const next: ArchivePosition = {
      key: object.key,
      line: isEnd ? null : end,
      seq: Math.max(through, job.position.seq),
    };
    const replayed = made.ran + filtered.length;
    const advance = () => this.#deps.store.advance(job.id, next, end - first, replayed);
    if (end === first) {
      advance();
      return { step: "moved", events: 0 };
    }
    const appended = outbox.append(
      {
        ...{ team, destination, lane: `$replay:${job.id}`, after: job.position.seq, through },
        ...{ events: made.lines, seqs: made.share.sources.map((source) => seqOf(chosen(source).index)), tokens },
        dropped: made.share.dropped.map((source) => seqOf(chosen(source).index)),
        dead: made.share.dead.map(({ line, message }) => ({ line, reason: message })),
        ...{ filtered: filtered.map(seqOf), expired: [], replay: true },
        ...(made.lines !== events && made !== NOTHING ? { shaped: true } : {}),
      },
      advance,
    );
    if (appended.status === "stored") return { step: "moved", events: replayed };
    return { step: "wait", problem: "the destination's backlog is full: it goes on as that empties" };
  }
}

const NOTHING: Reshaped = {
  ran: 0,
  share: { count: 0, sources: [], dropped: [], dead: [] },
  lines: new Uint8Array(0),
};

interface Chosen {
  index: number;
  line: string;
  token: string;
}

/** Lines from `first` on: those of the request's time and name, taken by the filter or not; and where the next step goes on. */
function readLines(
  { text, starts }: ArchiveObject,
  first: number,
  { since, until, event }: ArchiveReplay,
  accepts: (event: object) => boolean,
  maxEvents: number,
): { chosen: Chosen[]; filtered: number[]; end: number } {
  const decoder = new TextDecoder();
  // Behind the last newline there is nothing.
  const count = starts.length - 2;
  const chosen: Chosen[] = [];
  const filtered: number[] = [];
  let [end, bytes] = [first, 0];
  for (; end < count && chosen.length + filtered.length < maxEvents && bytes < STEP_BYTES; end++) {
    const [from, to] = [starts[end] as number, (starts[end + 1] as number) - 1];
    const { line, token } = withoutToken(decoder.decode(text.subarray(from, to)));
    const value = JSON.parse(line) as { received_at?: unknown; event?: unknown };
    const { received_at: at } = value;
    // Without a time it is of the object's, which is in the range.
    if (typeof at === "string" && (Date.parse(at) < Date.parse(since) || Date.parse(at) >= Date.parse(until))) continue;
    if (event !== undefined && value.event !== event) continue;
    bytes += to - from;
    if (accepts(value)) chosen.push({ index: end, line, token });
    else filtered.push(end);
  }
  return { chosen, filtered, end };
}
