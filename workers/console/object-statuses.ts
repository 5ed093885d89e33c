import { AppError, messageOf } from "../../shared/errors.ts";
import type { LaneStatus } from "../../shared/lane-api.ts";
import type { OutboxStatus } from "../../shared/outbox-api.ts";
import type { Objects } from "./deps.ts";

/** Objects that did not answer. */
class ObjectsUnreachable extends AppError {
  constructor(names: readonly string[], cause: unknown) {
    super(
      "objects_unreachable",
      503,
      `no answer from ${names.join(", ")} (${messageOf(cause)}): try again, and look into the logs of capture and deliver if it stays so`,
      { cause, retryAfterS: 1 },
    );
  }
}

/** The statuses of lanes, in order. Throws `ObjectsUnreachable` naming every lane that does not answer. */
export function laneStatuses(objects: Objects, lanes: readonly string[]): Promise<LaneStatus[]> {
  return askAll(lanes.map((lane) => ({ name: `lane ${lane}`, ask: () => objects.lane(lane).status() })));
}

/** The statuses of a team's outboxes, in order. Throws `ObjectsUnreachable` naming every outbox that does not answer. */
export function outboxStatuses(
  objects: Objects,
  team: string,
  destinations: readonly string[],
): Promise<OutboxStatus[]> {
  return askAll(
    destinations.map((destination) => ({
      name: `outbox ${team}/${destination}`,
      ask: () => objects.outbox(team, destination).status(),
    })),
  );
}

/** One call to one object. Throws `ObjectsUnreachable` where it fails. */
export async function askObject<T>(name: string, ask: () => Promise<T>): Promise<T> {
  return (await askAll([{ name, ask }]))[0] as T;
}

/** One call to each of several objects, in order. Throws `ObjectsUnreachable` naming every one where it fails. */
export async function askAll<T>(questions: readonly { name: string; ask: () => Promise<T> }[]): Promise<T[]> {
  const answers = await Promise.allSettled(questions.map(async ({ ask }) => ask()));
  const silent: string[] = [];
  let cause: unknown;
  const values: T[] = [];
  for (const [index, answer] of answers.entries()) {
    if (answer.status === "fulfilled") values.push(answer.value);
    else {
      silent.push(questions[index]?.name ?? "");
      cause = answer.reason;
    }
  }
  if (silent.length > 0) throw new ObjectsUnreachable(silent, cause);
  return values;
}
