import { concatLines } from "../../shared/ndjson.ts";
import type { DeadLetterSelection, OutboxAppend, OutboxAppended } from "../../shared/outbox-api.ts";
import type { DeadLetterReplay } from "../../shared/replay-api.ts";
import type { ReplayStep } from "../../shared/replay-jobs.ts";
import type { Replay, ReplayStore } from "../../shared/replay-store.ts";
import { appendRun } from "../../shared/runs.ts";
import type { Replayable } from "./dead-letter-store.ts";
import type { Outbox } from "./outbox.ts";
import { type Reshaped, unchanged } from "./reshaped.ts";
import { isShapedLine } from "./shaped-event.ts";

/**
 * Replays dead letters, a step at a time: into this outbox again, or into another destination's.
 *
 * Invariants: 2 (here, the letters and the replay's position move in one transaction; elsewhere, an append comes with a lane name of
 * the replay's own and the letters' numbers as seqs, so that a step that is cut off may come again), 5 (a letter that has gone elsewhere
 * counts as dropped here and as accepted there), 7 (bodies move as they are, unless a script has to shape them).
 */
export interface ReplayDeps {
  outbox: Outbox;
  store: Pick<ReplayStore<DeadLetterReplay, DeadLetterPosition>, "advance">;
  /** Runs a destination's script on events, NDJSON: on all of them or the first. Never throws for what a script or the sandbox can do. */
  reshape: (destination: string, events: Uint8Array) => Promise<Reshaped | { problem: string }>;
  /** To another outbox of the team. Throws where it cannot be reached. */
  append: (append: OutboxAppend) => Promise<OutboxAppended>;
}

export interface DeadLetterPosition {
  /** The last letter that was looked at. */
  after: number;
  /** The last one that there was when it began: those that die again meanwhile are not chased. */
  through: number;
  /** The last one that the other outbox has been told of. */
  told: number;
}

export function startOf(outbox: Outbox): DeadLetterPosition {
  return { after: 0, through: outbox.lastDeadLetter(), told: 0 };
}

type Job = Replay<DeadLetterReplay, DeadLetterPosition>;

export async function replayStep(deps: ReplayDeps, job: Job, maxEvents: number): Promise<ReplayStep> {
  const { outbox } = deps;
  const { after, through } = job.position;
  const letters = outbox.replayable(job.request.selection, after, through, maxEvents);
  if (letters.length === 0) return { step: "done" };
  const isHere = job.request.destination === outbox.identity()?.destination;
  return isHere ? replayHere(deps, job, letters) : replayElsewhere(deps, job, letters);
}

async function replayHere(deps: ReplayDeps, job: Job, letters: readonly Replayable[]): Promise<ReplayStep> {
  const { outbox, store } = deps;
  const needsScript = letters[0]?.unshaped === true;
  const made = needsScript ? await deps.reshape(job.request.destination, bodies(letters)) : unchanged(letters);
  if ("problem" in made) return skip(deps, job, letters, made.problem);
  const after = (letters[made.ran - 1] as Replayable).id;
  const revived = outbox.revive(letters, made, (count) =>
    store.advance(job.id, { ...job.position, after }, made.ran, count),
  );
  return revived === null
    ? { step: "wait", problem: "the destination's backlog is full: it goes on as that empties" }
    : { step: "moved", events: revived };
}

async function replayElsewhere(deps: ReplayDeps, job: Job, all: readonly Replayable[]): Promise<ReplayStep> {
  const { outbox, store } = deps;
  const { destination, team } = job.request;
  // What a script of this destination has made into a request is nothing that another one's script could read.
  const isShaped = ({ body }: Replayable) => outbox.isShaped && isShapedLine(body, 0, body.length);
  const shaped = isShaped(all[0] as Replayable);
  const border = all.findIndex((letter) => isShaped(letter) !== shaped);
  const letters = border === -1 ? all : all.slice(0, border);
  const events = bodies(letters);
  const made = shaped ? unchanged(letters) : await deps.reshape(destination, events);
  if ("problem" in made) return skip(deps, job, letters, made.problem);
  const gone = letters.slice(0, made.ran);
  const after = (gone.at(-1) as Replayable).id;
  const share = shareOf(made, letters);
  const appended = await deps.append({
    ...{ team, destination, lane: `$replay:${job.id}`, after: job.position.told, through: after, ...share },
    ...{ filtered: [], expired: [], replay: true },
    // Without a script of its own it gets events, whatever fields they have.
    ...(shaped || made.lines !== events ? { shaped: true } : {}),
  });
  if (appended.status === "full") return { step: "wait", problem: `the backlog of "${destination}" is full` };
  if (appended.status === "gap") throw new Error(`outbox ${destination} has lost what it knew of this replay`);
  outbox.movedAway(gone, (moved) => store.advance(job.id, { ...job.position, after, told: after }, gone.length, moved));
  return { step: "moved", events: gone.length };
}

/** They stay what they are. */
function skip({ store }: ReplayDeps, job: Job, letters: readonly Replayable[], problem: string): ReplayStep {
  const after = (letters.at(-1) as Replayable).id;
  store.advance(job.id, { ...job.position, after }, letters.length, 0);
  return { step: "moved", events: 0, leftOut: problem };
}

function bodies(letters: readonly Replayable[]): Uint8Array {
  return concatLines(letters.map(({ body }) => body));
}

function shareOf(
  { share, lines }: Reshaped,
  letters: readonly Replayable[],
): Pick<OutboxAppend, "events" | "seqs" | "tokens" | "dropped" | "dead"> {
  const letter = (index: number) => letters[index] as Replayable;
  const tokens: [string, number][] = [];
  for (const source of share.sources) appendRun(tokens, letter(source).token, 1);
  return {
    ...{ events: lines, tokens, seqs: share.sources.map((source) => letter(source).id) },
    dropped: share.dropped.map((source) => letter(source).id),
    dead: share.dead.map(({ line, message }) => ({ line, reason: message })),
  };
}

/** Ends the selected dead letters, in steps between which others get their turn. Returns how many. */
export async function discardDeadLetters(
  outbox: Outbox,
  selection: DeadLetterSelection,
  pause: () => Promise<void>,
): Promise<number> {
  const last = outbox.lastDeadLetter();
  let [after, discarded] = [0, 0];
  for (;;) {
    const step = outbox.discard(selection, after, last);
    if (step === null) return discarded;
    discarded += step.discarded;
    after = step.through;
    await pause();
  }
}
