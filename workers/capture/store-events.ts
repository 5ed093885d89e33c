import type { Event } from "../../shared/event.ts";
import type { DailyResource } from "../../shared/lane-api.ts";
import { lineStarts, sliceLines } from "../../shared/ndjson.ts";
import { type Runs, sliceRuns } from "../../shared/runs.ts";
import { UUID_BYTES } from "../../shared/uuid.ts";
import type { Target } from "./accept.ts";
import type { DecodeLimits } from "./decode/limits.ts";
import { type EncodedEvents, encodeEvents } from "./encode.ts";
import type { GroupCommit } from "./group-commit.ts";
import { laneName, unresolvedLaneName } from "./lane-name.ts";
import { dailyResources } from "./quota/resource.ts";

/** Events of one append at most: below the 32 MiB that an RPC argument may have, with room for what shares the append. */
const PART_BYTES = 8_000_000;

export interface StoreEventsDeps {
  commit: GroupCommit;
  limits: DecodeLimits;
  /** Of the current request. */
  waitUntil(promise: Promise<unknown>): void;
}

/**
 * Makes one request's events durable, each in its user's lane. A request whose events are for several lanes, or too large for one
 * append, is not one transaction: when a part fails the client sends all again, and the lanes drop what they have by its uuid.
 * @throws whatever an append throws, once all parts have settled
 */
export async function storeEvents(target: Target, events: readonly Event[], deps: StoreEventsDeps): Promise<void> {
  // All of it is encoded, and so checked, before any of it is stored: a refused request leaves nothing behind.
  const shares = [...byLane(target, events)].map(([lane, share]) => ({
    lane,
    ...encodeEvents(share, deps.limits),
    ...(target.quota === undefined ? {} : { resources: dailyResources(share) }),
  }));
  const stored = shares.map((share) => storeInLane(share, target.token, deps));
  for (const result of await Promise.allSettled(stored)) if (result.status === "rejected") throw result.reason;
}

/** The lane that hears of what is not stored: any of the team's nearby. */
export function laneOfCounts({ team, token, region, lanes }: Target): string {
  return team === null ? unresolvedLaneName(token, region) : laneName(team, region, lanes, "");
}

function byLane(target: Target, events: readonly Event[]): Map<string, readonly Event[]> {
  if (target.team === null) return new Map([[unresolvedLaneName(target.token, target.region), events]]);
  if (target.lanes === 1) return new Map([[laneName(target.team, target.region, 1, ""), events]]);
  const lanes = new Map<string, Event[]>();
  for (const event of events) {
    const lane = laneName(target.team, target.region, target.lanes, event.distinct_id);
    const share = lanes.get(lane);
    if (share === undefined) lanes.set(lane, [event]);
    else share.push(event);
  }
  return lanes;
}

/** What a lane gets of a request. */
interface Share extends EncodedEvents {
  lane: string;
  resources?: Runs<DailyResource>;
}

async function storeInLane(share: Share, token: string, deps: StoreEventsDeps): Promise<void> {
  const { lane, bytes, uuids, resources } = share;
  const count = uuids.length / UUID_BYTES;
  if (bytes.length <= PART_BYTES) {
    const part = { events: bytes, uuids, tokens: [[token, count]] as const };
    return deps.commit.join(lane, resources === undefined ? part : { ...part, resources }, deps.waitUntil);
  }
  const starts = lineStarts(bytes);
  // One part after the other: a user's events stay in order, and a failure stops what would follow.
  for (let from = 0, to = 0; from < count; from = to) {
    to = from + 1;
    while (to < count && (starts[to + 1] as number) - (starts[from] as number) <= PART_BYTES) to++;
    const part = {
      events: sliceLines(bytes, starts, from, to),
      uuids: uuids.subarray(from * UUID_BYTES, to * UUID_BYTES),
      tokens: [[token, to - from] as const],
      ...(resources === undefined ? {} : { resources: sliceRuns(resources, from, to) }),
    };
    await deps.commit.join(lane, part, deps.waitUntil);
  }
}
