/**
 * Requests that arrive in one isolate within a short window for the same lane share one append, and so one fsync.
 *
 * The runtime's rules shape this (workerd cancels a request as hung when it waits for nothing of its own, and a promise of one
 * request may be awaited by another only beside I/O of its own):
 * - the first request of a group leads: it waits on its own timer and makes the append itself; `waitUntil` keeps it alive if its
 *   client leaves;
 * - a follower awaits the leader's result beside a guard timer of its own, which is also its time-out.
 *
 * Invariant 1: `join` resolves only after the append has.
 */
import { AppError } from "../../shared/errors.ts";
import type { DailyResource, LaneAppend, LaneAppended } from "../../shared/lane-api.ts";
import { concatLines } from "../../shared/ndjson.ts";
import { appendRun, type Runs } from "../../shared/runs.ts";

export interface GroupCommitDeps {
  append(append: LaneAppend): Promise<LaneAppended>;
  /** Resolves after `ms`; the current request's own timer. `cancel` frees it. */
  timer(ms: number): { done: Promise<void>; cancel(): void };
}

export interface GroupCommitLimits {
  /** How long a leader waits for company: short beside a round trip, long enough for a busy isolate to gather dozens. */
  windowMs: number;
  /**
   * While an append of the lane is under way a leader gathers on, up to this: under load one fsync then serves what has come in
   * during the one before. A bound, because a leader may wait on nothing but its own timer.
   */
  busyWindowMs: number;
  /** How long a request waits for its append before its client is told to try again: below the 10 s time-out of the SDKs. */
  timeoutMs: number;
  /** A group closes at this size, a lane's row: an fsync for a megabyte is cheap, and the lane need not look for lines to split at. */
  groupBytes: number;
}

export const DEFAULT_GROUP_COMMIT_LIMITS: GroupCommitLimits = {
  windowMs: 2,
  busyWindowMs: 20,
  timeoutMs: 8_000,
  groupBytes: 1_000_000,
};

/** One request's events for one lane. */
export interface Part {
  events: Uint8Array;
  uuids: Uint8Array;
  tokens: Runs<string>;
  /** As LaneAppend has it. */
  resources?: Runs<DailyResource>;
}

interface Group {
  parts: Part[];
  bytes: number;
  done: Promise<void>;
  settle: { resolve(): void; reject(error: unknown): void };
}

export class AppendTimeoutError extends AppError {
  constructor() {
    super(
      "append_timeout",
      503,
      "the events could not be stored in time; they were not acknowledged, send them again",
      {
        retryAfterS: 1,
      },
    );
  }
}

export class GroupCommit {
  readonly #deps: GroupCommitDeps;
  readonly #limits: GroupCommitLimits;
  readonly #open = new Map<string, Group>();
  /** Appends under way, by lane. */
  readonly #appending = new Map<string, number>();

  constructor(deps: GroupCommitDeps, limits: GroupCommitLimits = DEFAULT_GROUP_COMMIT_LIMITS) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /**
   * Resolves once the events are durable.
   * @param waitUntil of the current request
   * @throws AppendTimeoutError, or what the append throws: then they may or may not be durable, and the client must send them again
   */
  join(lane: string, part: Part, waitUntil: (promise: Promise<unknown>) => void): Promise<void> {
    const open = this.#open.get(lane);
    if (open !== undefined && open.bytes + part.events.length <= this.#limits.groupBytes) {
      open.parts.push(part);
      open.bytes += part.events.length;
      return this.#follow(lane, open);
    }
    const group = newGroup(part);
    this.#open.set(lane, group);
    const lead = this.#lead(lane, group);
    waitUntil(lead);
    return lead.then(() => group.done);
  }

  async #follow(lane: string, group: Group): Promise<void> {
    try {
      await this.#withTimeout(group.done);
    } finally {
      // A leader that the runtime has ended without a word never closes its group: nobody else shall join it.
      if (this.#open.get(lane) === group) this.#open.delete(lane);
    }
  }

  /** Never rejects: the group's promise carries the outcome. */
  async #lead(lane: string, group: Group): Promise<void> {
    try {
      await this.#gather(lane, group);
      if (this.#open.get(lane) === group) this.#open.delete(lane);
      await this.#withTimeout(this.#append(lane, group));
      group.settle.resolve();
    } catch (error) {
      if (this.#open.get(lane) === group) this.#open.delete(lane);
      group.settle.reject(error);
    }
  }

  /** Until the group is full, or nothing speaks against sending it off. */
  async #gather(lane: string, group: Group): Promise<void> {
    const { windowMs, busyWindowMs } = this.#limits;
    for (let waited = 0; waited < busyWindowMs; waited += windowMs) {
      await this.#deps.timer(windowMs).done;
      const isFull = this.#open.get(lane) !== group;
      if (isFull || !this.#appending.has(lane)) return;
    }
  }

  async #append(lane: string, group: Group): Promise<void> {
    this.#appending.set(lane, (this.#appending.get(lane) ?? 0) + 1);
    try {
      await this.#deps.append(merge(lane, group.parts));
    } finally {
      const left = (this.#appending.get(lane) ?? 1) - 1;
      if (left === 0) this.#appending.delete(lane);
      else this.#appending.set(lane, left);
    }
  }

  async #withTimeout(work: Promise<unknown>): Promise<void> {
    const guard = this.#deps.timer(this.#limits.timeoutMs);
    try {
      await Promise.race([
        work,
        guard.done.then(() => {
          throw new AppendTimeoutError();
        }),
      ]);
    } finally {
      guard.cancel();
    }
  }
}

function newGroup(part: Part): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // The leader reads the outcome from the same promise; without followers a rejection would otherwise count as unhandled.
  promise.catch(() => {});
  return { parts: [part], bytes: part.events.length, done: promise, settle: { resolve, reject } };
}

function merge(lane: string, parts: readonly Part[]): LaneAppend {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return { lane, ...only };
  const tokens: [string, number][] = [];
  for (const part of parts) for (const [token, count] of part.tokens) appendRun(tokens, token, count);
  let length = 0;
  for (const part of parts) length += part.uuids.length;
  const uuids = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    uuids.set(part.uuids, at);
    at += part.uuids.length;
  }
  const append = { lane, events: concatLines(parts.map((part) => part.events)), uuids, tokens };
  const resources = mergeResources(parts);
  return resources === null ? append : { ...append, resources };
}

/** Null where one does not say: for the moment in which the team's first quota reaches the edge. */
function mergeResources(parts: readonly Part[]): Runs<DailyResource> | null {
  const merged: [DailyResource, number][] = [];
  for (const { resources } of parts) {
    if (resources === undefined) return null;
    for (const [resource, count] of resources) appendRun(merged, resource, count);
  }
  return merged;
}
