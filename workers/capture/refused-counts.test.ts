import { describe, expect, it } from "vitest";
import type { LaneAppend, Refused } from "../../shared/lane-api.ts";
import { DEFAULT_REFUSED_COUNTS_LIMITS, RefusedCounts } from "./refused-counts.ts";

const LANE = "acme:local:0";
const { waitMs, waitCount } = DEFAULT_REFUSED_COUNTS_LIMITS;

function makeCounts() {
  let now = 1_000;
  let broken = false;
  const told: (Refused | undefined)[] = [];
  const timers: { ms: number; fire: () => void }[] = [];
  const kept: Promise<unknown>[] = [];
  const logs: object[] = [];
  const counts = new RefusedCounts({
    append: async ({ refused }) => {
      if (broken) throw new Error("the disk is full");
      told.push(refused === undefined ? undefined : structuredClone(refused));
      return { duplicates: 0 };
    },
    timer: (ms) => {
      const { promise: done, resolve: fire } = Promise.withResolvers<void>();
      timers.push({ ms, fire });
      return { done, cancel: () => {} };
    },
    clock: { now: () => now },
    log: (record) => void logs.push(record),
  });
  return {
    ...{ told, timers, logs },
    count: (refused: Refused) => counts.count(LANE, refused, (promise) => void kept.push(promise)),
    append: () => counts.append(anAppend()),
    break: (value: boolean) => (broken = value),
    pass: (ms: number) => (now += ms),
    settled: () => Promise.all(kept.splice(0)),
  };
}

const anAppend = (): LaneAppend => ({
  lane: LANE,
  events: Uint8Array.of(10),
  uuids: new Uint8Array(16),
  tokens: [["phc_acme", 1]],
});

describe("counts of what is not stored (invariant 5)", () => {
  it("go with the next append of their lane, once", async () => {
    const counts = makeCounts();
    counts.count({ web: { sampled_out: 2 } });
    counts.count({ web: { sampled_out: 1, restricted: 4 }, app: { source_disabled: 1 } });
    await counts.append();
    await counts.append();
    expect(counts.told).toEqual([{ web: { sampled_out: 3, restricted: 4 }, app: { source_disabled: 1 } }, undefined]);
  });

  it("go on their own where no append comes, by one timer for all that wait", async () => {
    const counts = makeCounts();
    counts.count({ web: { restricted: 1 } });
    counts.count({ web: { restricted: 1 } });
    expect(counts.timers.map(({ ms }) => ms)).toEqual([waitMs]);
    counts.timers[0]!.fire();
    await counts.settled();
    expect(counts.told).toEqual([{ web: { restricted: 2 } }]);
    counts.count({ web: { restricted: 1 } });
    expect(counts.timers).toHaveLength(2);
  });

  it("are not told where the append has taken them before the timer", async () => {
    const counts = makeCounts();
    counts.count({ web: { restricted: 1 } });
    await counts.append();
    counts.timers[0]!.fire();
    await counts.settled();
    expect(counts.told).toEqual([{ web: { restricted: 1 } }]);
  });

  it("wait no longer once they are many", async () => {
    const counts = makeCounts();
    counts.count({ web: { restricted: waitCount - 1 } });
    expect(counts.told).toEqual([]);
    counts.count({ web: { restricted: 1 } });
    expect(counts.told).toEqual([{ web: { restricted: waitCount } }]);
  });

  it("wait on where the append fails, which fails as it did", async () => {
    const counts = makeCounts();
    counts.count({ web: { restricted: 1 } });
    counts.break(true);
    await expect(counts.append()).rejects.toThrow("the disk is full");
    counts.count({ web: { restricted: 1 } });
    counts.break(false);
    await counts.append();
    expect(counts.told).toEqual([{ web: { restricted: 2 } }]);
  });

  it("are logged, and wait on, where they cannot be told", async () => {
    const counts = makeCounts();
    counts.break(true);
    counts.count({ web: { restricted: 3 } });
    counts.timers[0]!.fire();
    await counts.settled();
    expect(counts.logs).toEqual([
      { level: "warn", event: "counts_not_told", lane: LANE, events: 3, error: "the disk is full" },
    ]);
    counts.break(false);
    await counts.append();
    expect(counts.told).toEqual([{ web: { restricted: 3 } }]);
  });

  it("are taken over by another request where the runtime has ended the one that waited", () => {
    const counts = makeCounts();
    counts.count({ web: { restricted: 1 } });
    counts.pass(2 * waitMs);
    counts.count({ web: { restricted: 1 } });
    expect(counts.timers).toHaveLength(1);
    counts.pass(1);
    counts.count({ web: { restricted: 1 } });
    expect(counts.timers).toHaveLength(2);
  });
});
