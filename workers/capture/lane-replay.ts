import { lineStarts, sliceLines } from "../../shared/ndjson.ts";
import type { OutboxAppend, OutboxAppended } from "../../shared/outbox-api.ts";
import type { LaneReplay } from "../../shared/replay-api.ts";
import type { ReplayStep } from "../../shared/replay-jobs.ts";
import type { Replay, ReplayStore } from "../../shared/replay-store.ts";
import { sliceRuns } from "../../shared/runs.ts";
import type { Progress } from "../../shared/sandbox-api.ts";
import type { Bundle, TeamSnapshot } from "../../shared/snapshot.ts";
import type { Lane, LaneBatch } from "./lane.ts";
import { type Found, markedEvents, type Quarantine, reasonOf } from "./quarantine.ts";
import type { RunOptions, RunOutcome } from "./sandbox-client.ts";
import { shareOf, type Transformed } from "./share.ts";

/**
 * Sends one destination the events that the log still has of a time, once more: through the team's scripts as they are now, with the
 * uuids that they have (invariant 7). It reads behind the cursor only, so that nothing comes by both ways.
 *
 * Invariants: 2 (an append comes with a lane name of the replay's own, so that a step that is cut off may come again), 5 (the outbox
 * counts every event as accepted once more; what the quarantine has of that time is left out).
 */
export interface LaneReplayDeps {
  lane: Lane;
  quarantine: Pick<Quarantine, "withheld">;
  store: Pick<ReplayStore<LaneReplay, LanePosition>, "advance">;
  /** Null: there is no such team. Throws where it cannot be read. */
  snapshot: () => Promise<TeamSnapshot | null>;
  /** Never throws for what a sandbox does. */
  run: (bundle: Bundle, events: Uint8Array, options: RunOptions) => Promise<RunOutcome>;
  /** Scripts that are not run. */
  skipped: () => string[];
  /** Throws where the outbox cannot be reached. */
  append: (append: Omit<OutboxAppend, "lane"> & { lane?: string }) => Promise<OutboxAppended>;
  /** The lane's own name. */
  name: () => string;
}

export interface LanePosition {
  /** Seqs (after, through] are left. */
  after: number;
  through: number;
}

type Job = Replay<LaneReplay, LanePosition>;

const BATCH_BYTES = 1_000_000;
/** Times that the sandbox may die of one batch before the replay waits. */
const DEATHS_COUNT = 3;

/** The seqs of the request's time that the destination has been given already, or was never told of. */
export function seqsOf({ since, until, destination }: LaneReplay, lane: Lane): LanePosition {
  const after = lane.seqSince(Date.parse(since)) - 1;
  const given = Math.min(lane.cursor, lane.parked.get(destination) ?? lane.cursor);
  return { after, through: Math.max(after, Math.min(lane.seqSince(Date.parse(until)) - 1, given)) };
}

export async function laneReplayStep(deps: LaneReplayDeps, job: Job, maxEvents: number): Promise<ReplayStep> {
  const { after, through } = job.position;
  const batch = deps.lane.read(after, through, maxEvents, BATCH_BYTES);
  if (batch === null) return { step: "done" };
  const snapshot = await deps.snapshot();
  if (snapshot === null) return { step: "wait", problem: "the team is not in the configuration" };
  const { destination } = job.request;
  if (!snapshot.destinations.some(({ id }) => id === destination)) {
    return { step: "wait", problem: `destination "${destination}" is not in the configuration` };
  }
  const made = await transform(deps, batch, snapshot.bundle);
  if ("problem" in made) return { step: "wait", problem: made.problem };
  return give(deps, job, snapshot.team, made);
}

async function give(deps: LaneReplayDeps, job: Job, team: string, made: Made): Promise<ReplayStep> {
  const { id, position, request } = job;
  const { batch } = made;
  const withheld = withheldOf(deps, request, made);
  const share = shareOf(made, request.destination, withheld);
  const appended = await deps.append({
    ...{ ...share, team, destination: request.destination, lane: `$replay:${id}:${deps.name()}`, replay: true },
    // Where rows have gone meanwhile, the seqs before the batch are nobody's.
    ...{ after: position.after, seqs: share.seqs ?? seqsBetween(batch) },
  });
  if (appended.status === "full") return { step: "wait", problem: `the backlog of "${request.destination}" is full` };
  if (appended.status === "gap") throw new Error(`outbox ${request.destination} has lost what it knew of this replay`);
  const count = batch.through - batch.after;
  const leftOut = [...withheld.values()].filter((reason) => reason === null).length;
  const gone = batch.after - position.after;
  deps.store.advance(id, { ...position, after: batch.through }, count + gone, count - leftOut);
  const problem = gone > 0 ? { leftOut: "the log has not kept all events of that time" } : {};
  return { step: "moved", events: count - leftOut, ...problem };
}

interface Made extends Transformed {
  /** What the scripts, or a restriction, would send to the quarantine. */
  quarantined: readonly Found[];
}

async function transform(
  deps: LaneReplayDeps,
  batch: LaneBatch,
  bundle: Bundle | null,
): Promise<Made | { problem: string }> {
  if (bundle === null) return { batch, run: null, quarantined: markedEvents(batch.events) };
  const fail: Progress[] = [];
  for (let deaths = 0; ; deaths++) {
    const options = { careful: deaths > 0, skip: deps.skipped(), fail };
    const run = await deps.run(bundle, batch.events, options);
    if (run.outcome === "ran") {
      const { ran, quarantined = [] } = run.result;
      return { batch: ran === undefined ? batch : firstOf(batch, ran), run, quarantined };
    }
    const isScripts = run.outcome === "died" && run.started && deaths < DEATHS_COUNT;
    if (!isScripts) return { problem: `the team's scripts could not be run: ${run.message}` };
    if (run.progress !== null) fail.push(run.progress);
  }
}

/** Seqs that the destination gets nothing of, or a dead letter. */
function withheldOf(
  { quarantine }: LaneReplayDeps,
  { event }: LaneReplay,
  { batch, quarantined }: Made,
): Map<number, string | null> {
  const withheld = new Map<number, string | null>();
  for (const found of quarantined) {
    withheld.set(batch.after + 1 + found.index, reasonOf(found, "a replay brings nothing into the quarantine"));
  }
  // What was withheld then is in the quarantine, or among the destination's dead letters: both have replays of their own.
  for (const seq of quarantine.withheld(batch.after, batch.through).keys()) withheld.set(seq, null);
  if (event === undefined) return withheld;
  const starts = lineStarts(batch.events);
  const decoder = new TextDecoder();
  for (let index = 0; index < batch.through - batch.after; index++) {
    const line = JSON.parse(decoder.decode(sliceLines(batch.events, starts, index, index + 1))) as { event?: unknown };
    if (line.event !== event) withheld.set(batch.after + 1 + index, null);
  }
  return withheld;
}

function seqsBetween({ after, through }: LaneBatch): number[] {
  return Array.from({ length: through - after }, (_, index) => after + 1 + index);
}

/** The first `count` events of a batch. */
function firstOf(batch: LaneBatch, count: number): LaneBatch {
  return {
    after: batch.after,
    through: batch.after + count,
    events: sliceLines(batch.events, lineStarts(batch.events), 0, count),
    tokens: sliceRuns(batch.tokens, 0, count),
  };
}
