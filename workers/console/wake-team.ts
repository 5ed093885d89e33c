import { messageOf } from "../../shared/errors.ts";
import type { ConsoleDeps } from "./deps.ts";

/** Makes a team's lanes and outboxes read the configuration again. Best effort: whoever sleeps through it reads it within a minute. */
export async function wakeTeam(
  { store, objects }: Pick<ConsoleDeps, "store" | "objects">,
  team: string,
): Promise<string[]> {
  try {
    const [lanes, outboxes] = await Promise.all([store.lanes(team), store.outboxes(team)]);
    const woken = await Promise.all([
      // Outboxes first: a lane that wakes may have something for them.
      ...outboxes.map(({ destination }) =>
        attempt(`outbox ${destination}`, () => objects.outbox(team, destination).wake()),
      ),
      ...lanes.map(({ lane }) => attempt(`lane ${lane}`, () => objects.lane(lane).wake())),
    ]);
    return woken.filter((failure) => failure !== null).map((failure) => `team ${team}: ${failure}`);
  } catch (error) {
    return [`team ${team}: its objects could not be listed (${messageOf(error)})`];
  }
}

async function attempt(name: string, wake: () => Promise<void>): Promise<string | null> {
  try {
    await wake();
    return null;
  } catch (error) {
    return `${name} was not told of the change and will see it later (${messageOf(error)})`;
  }
}
