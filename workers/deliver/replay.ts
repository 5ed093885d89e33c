import type { DeadLetterSelection } from "../../shared/outbox-api.ts";
import type { Outbox } from "./outbox.ts";

/** Makes the selected dead letters pending again, in steps; `pause` lets others have their turn between two. Returns how many. */
export async function replayDeadLetters(
  outbox: Outbox,
  selection: DeadLetterSelection,
  pause: () => Promise<void>,
): Promise<number> {
  const through = outbox.lastDeadLetter();
  let replayed = 0;
  let after = 0;
  for (;;) {
    const step = outbox.replayStep(selection, after, through);
    if (step === null) return replayed;
    replayed += step.count;
    after = step.last;
    await pause();
  }
}
