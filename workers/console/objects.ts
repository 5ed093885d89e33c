import { AppError } from "../../shared/errors.ts";
import type { LaneApi } from "../../shared/lane-api.ts";
import type { OutboxApi } from "../../shared/outbox-api.ts";
import { laneStub, outboxStub } from "../../shared/stubs.ts";
import type { Timer } from "../../shared/timer.ts";
import type { Objects } from "./deps.ts";

/** An object that does not answer for this long is reported, so that one that hangs does not hang the whole page. */
const ANSWER_MAX_MS = 10_000;

/** Stubs whose calls give up after a time. */
export function timedObjects(
  lanes: DurableObjectNamespace,
  outboxes: DurableObjectNamespace,
  timer: (ms: number) => Timer,
): Objects {
  const within = async <T>(call: Promise<T>): Promise<T> => {
    const { done, cancel } = timer(ANSWER_MAX_MS);
    const late = done.then((): never => {
      throw new AppError("object_timeout", 503, `no answer within ${ANSWER_MAX_MS} ms`);
    });
    try {
      return await Promise.race([call, late]);
    } finally {
      cancel();
    }
  };
  return {
    lane: (name): LaneApi => {
      const stub = laneStub(lanes, name);
      return {
        append: (append) => within(stub.append(append)),
        status: () => within(stub.status()),
        usage: () => within(stub.usage()),
        wake: () => within(stub.wake()),
        samples: (limit) => within(stub.samples(limit)),
        quarantine: (query) => within(stub.quarantine(query)),
        release: (selection) => within(stub.release(selection)),
        discard: (selection) => within(stub.discard(selection)),
        replay: (request) => within(stub.replay(request)),
        replays: () => within(stub.replays()),
        cancelReplay: (id) => within(stub.cancelReplay(id)),
      };
    },
    outbox: (team, destination): OutboxApi => {
      const stub = outboxStub(outboxes, team, destination);
      return {
        append: (append) => within(stub.append(append)),
        status: () => within(stub.status()),
        deadLetters: (query) => within(stub.deadLetters(query)),
        replay: (request) => within(stub.replay(request)),
        replays: () => within(stub.replays()),
        cancelReplay: (id) => within(stub.cancelReplay(id)),
        discard: (selection) => within(stub.discard(selection)),
        pause: (pause) => within(stub.pause(pause)),
        resume: () => within(stub.resume()),
        wake: () => within(stub.wake()),
      };
    },
  };
}
