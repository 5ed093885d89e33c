import { concatLines } from "../../shared/ndjson.ts";
import type { DeadLetterSelection } from "../../shared/outbox-api.ts";
import type { Replayable } from "./dead-letter-store.ts";
import type { Outbox } from "./outbox.ts";
import { type Reshaped, unchanged } from "./reshaped.ts";

export interface ReplayDeps {
  outbox: Outbox;
  /** Runs the destination's script on events, NDJSON: on all of them or the first. Never throws for what a script or the sandbox can do. */
  reshape: (events: Uint8Array) => Promise<Reshaped | { problem: string }>;
  /** Lets others have their turn between two steps. */
  pause: () => Promise<void>;
}

/**
 * Makes the selected dead letters pending again, in steps; those that the destination's script failed on by way of the script as it
 * is now. Where it cannot be run they stay, and the others are replayed all the same.
 */
export async function replayDeadLetters(
  deps: ReplayDeps,
  selection: DeadLetterSelection,
): Promise<{ replayed: number; problem?: string }> {
  const { outbox, pause } = deps;
  // Not further: those that die again meanwhile are not chased.
  const through = outbox.lastDeadLetter();
  let replayed = 0;
  let after = 0;
  let problem: string | undefined;
  const result = () => ({ replayed, ...(problem === undefined ? {} : { problem }) });
  for (;;) {
    const letters = outbox.replayable(selection, after, through);
    if (letters[0] === undefined) return result();
    let made: Reshaped | null = null;
    if (!letters[0].unshaped) made = unchanged(letters);
    else if (problem === undefined) {
      const answer = await deps.reshape(concatLines(letters.map(({ body }) => body)));
      if ("problem" in answer) problem = answer.problem;
      else made = answer;
    }
    if (made !== null) {
      const revived = outbox.revive(letters, made);
      if (revived === null) return result();
      replayed += revived;
    }
    after = (letters[(made?.ran ?? letters.length) - 1] as Replayable).id;
    await pause();
  }
}
