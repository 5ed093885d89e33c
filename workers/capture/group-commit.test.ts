import { describe, expect, it } from "vitest";
import type { LaneAppend } from "../../shared/lane-api.ts";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import { AppendTimeoutError, GroupCommit } from "./group-commit.ts";

const part = (line: string, token = "phc_a") => ({
  events: encodeLines([line]),
  uuids: new Uint8Array(16).fill(line.charCodeAt(0)),
  tokens: [[token, 1]] as [string, number][],
});

/** Timers that fire when told to, and appends that settle when told to. */
function aGroupCommit(limits = { windowMs: 2, busyWindowMs: 6, timeoutMs: 100, groupBytes: 1_000 }) {
  const timers: { ms: number; fire: () => void; cancelled: boolean }[] = [];
  const appends: { append: LaneAppend; settle: { resolve(): void; reject(error: Error): void } }[] = [];
  const commit = new GroupCommit(
    {
      append: (append) => {
        const { promise, resolve, reject } = Promise.withResolvers<{ duplicates: number }>();
        appends.push({ append, settle: { resolve: () => resolve({ duplicates: 0 }), reject } });
        return promise;
      },
      timer: (ms) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = { ms, fire: resolve, cancelled: false };
        timers.push(timer);
        return {
          done: promise,
          cancel: () => {
            timer.cancelled = true;
          },
        };
      },
    },
    limits,
  );
  const fire = async (ms: number) => {
    for (const timer of timers.splice(0)) {
      if (timer.ms === ms) timer.fire();
      else timers.push(timer);
    }
    await settled();
  };
  return {
    commit,
    appends,
    timers,
    fire,
    join: (lane: string, line: string) => commit.join(lane, part(line), () => {}),
  };
}

/** Lets every promise that can settle do so. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("GroupCommit", () => {
  it("puts the requests of one window and lane into one append, in their order", async () => {
    const { join, appends, fire } = aGroupCommit();
    const joined = [join("a", "1"), join("a", "2"), join("b", "3")];
    await fire(2);
    expect(appends.map(({ append }) => [append.lane, decodeLines(append.events), append.tokens])).toEqual([
      ["a", ["1", "2"], [["phc_a", 2]]],
      ["b", ["3"], [["phc_a", 1]]],
    ]);
    for (const { settle } of appends) settle.resolve();
    await expect(Promise.all(joined)).resolves.toHaveLength(3);
  });

  it("answers nobody before the append has (invariant 1)", async () => {
    const { join, appends, fire } = aGroupCommit();
    const answered: string[] = [];
    void join("a", "1").then(() => answered.push("leader"));
    void join("a", "2").then(() => answered.push("follower"));
    await fire(2);
    expect(answered).toEqual([]);
    appends[0]?.settle.resolve();
    await settled();
    expect(answered.sort()).toEqual(["follower", "leader"]);
  });

  it("gives a failed append to every request of its group, and the next group is untouched", async () => {
    const { join, appends, fire } = aGroupCommit();
    const joined = [join("a", "1"), join("a", "2")].map((done) => done.catch((error: Error) => error.message));
    await fire(2);
    const next = join("a", "3");
    appends[0]?.settle.reject(new Error("disk is full"));
    await expect(Promise.all(joined)).resolves.toEqual(["disk is full", "disk is full"]);
    await fire(2);
    appends[1]?.settle.resolve();
    await expect(next).resolves.toBeUndefined();
  });

  it("tells every request to come again when the append does not answer in time", async () => {
    const { join, fire } = aGroupCommit();
    const joined = [join("a", "1"), join("a", "2")].map((done) => done.catch((error: unknown) => error));
    await fire(2);
    await fire(100);
    for (const error of await Promise.all(joined)) expect(error).toBeInstanceOf(AppendTimeoutError);
  });

  it("closes a group that is full", async () => {
    const { join, appends, fire } = aGroupCommit({ windowMs: 2, busyWindowMs: 6, timeoutMs: 100, groupBytes: 2 });
    void join("a", "1");
    void join("a", "2");
    void join("a", "3");
    await fire(2);
    expect(appends.map(({ append }) => decodeLines(append.events))).toEqual([["1", "2"], ["3"]]);
  });

  it("lets nobody join a group whose leader has vanished once its followers have waited in vain: its lane took nothing for ever", async () => {
    const { join, appends, timers, fire } = aGroupCommit();
    void join("a", "1");
    // The runtime has ended the leader: its timer never fires.
    timers.splice(0);
    const follower = join("a", "2").catch((error: unknown) => error);
    await fire(100);
    expect(await follower).toBeInstanceOf(AppendTimeoutError);
    const next = join("a", "3");
    await fire(2);
    expect(appends.map(({ append }) => decodeLines(append.events))).toEqual([["3"]]);
    appends[0]?.settle.resolve();
    await expect(next).resolves.toBeUndefined();
  });

  it("gathers on while an append of the lane is under way, for a bounded time", async () => {
    const { join, appends, fire } = aGroupCommit();
    void join("a", "1");
    await fire(2);
    void join("a", "2");
    await fire(2);
    void join("a", "3");
    void join("b", "4");
    await fire(2);
    expect(appends.map(({ append }) => decodeLines(append.events))).toEqual([["1"], ["4"]]);
    await fire(2);
    expect(appends.map(({ append }) => decodeLines(append.events))).toEqual([["1"], ["4"], ["2", "3"]]);
    void join("a", "5");
    await fire(2);
    for (const { settle } of appends) settle.resolve();
    await settled();
    await fire(2);
    expect(appends.map(({ append }) => decodeLines(append.events)).at(-1)).toEqual(["5"]);
  });
});
