import { expect, test } from "vitest";
import type { Event } from "../../shared/event.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { dedupeWindowS, storeOnce } from "./dedupe.ts";
import { RedisLink } from "./redis-link.ts";

const [A, B, MINTED] = ["a", "b", "c"].map((digit) => `${digit.repeat(8)}-0000-4000-8000-000000000000`) as [
  string,
  string,
  string,
];

function rig() {
  const clock = new FakeClock();
  const keys = new Map<string, number>();
  const calls: string[] = [];
  const logs: string[] = [];
  const state = { down: false, full: false };
  const check = () => {
    if (state.down) throw new Error("oops, command was: secret uuids");
  };
  const redis = {
    existing: async (asked: readonly string[]) => {
      calls.push("existing");
      check();
      return asked.map((key) => keys.has(key));
    },
    keep: async (kept: readonly string[], seconds: number) => {
      calls.push("keep");
      check();
      for (const key of kept) keys.set(key, seconds);
    },
  };
  const link = new RedisLink({ clock, log: ({ level, message }) => logs.push(`${level}: ${message}`) });
  const stored: string[] = [];
  const store = async (uuids: string[], team = "acme") => {
    const waited: Promise<unknown>[] = [];
    const events = uuids.map((uuid) => anEvent({ uuid }));
    const append = async (fresh: Event[]) => {
      calls.push("append");
      if (state.full) throw new Error("full");
      stored.push(...fresh.map(({ uuid }) => uuid));
    };
    const deps = { redis, link, windowS: 3_600, waitUntil: (promise: Promise<unknown>) => waited.push(promise) };
    const known = await storeOnce(team, events, new Set([MINTED]), append, deps);
    await Promise.all(waited);
    return known.map(({ uuid }) => uuid);
  };
  return { calls, clock, keys, logs, state, store, stored };
}

test("a uuid that was stored is known from then on, for the window, in its team", async () => {
  const { keys, store, stored } = rig();
  expect(await store([A])).toEqual([]);
  expect([...keys]).toEqual([[`headwater:seen:acme:${A}`, 3_600]]);
  expect(await store([A, B])).toEqual([A]);
  expect(await store([A], "other")).toEqual([]);
  expect(stored).toEqual([A, B, A]);
});

test("invariant 1: a uuid whose append has failed is not known, and its retry is stored", async () => {
  const { calls, keys, state, store, stored } = rig();
  state.full = true;
  await expect(store([A])).rejects.toThrow("full");
  expect(keys.size).toBe(0);
  expect(calls).toEqual(["existing", "append"]);
  state.full = false;
  expect(await store([A])).toEqual([]);
  expect(stored).toEqual([A]);
});

test("uuids that no client has chosen cost nothing", async () => {
  const { calls, keys, store, stored } = rig();
  await store([MINTED]);
  expect(calls).toEqual(["append"]);
  await store([MINTED, A]);
  expect([...keys.keys()]).toEqual([`headwater:seen:acme:${A}`]);
  expect(stored).toEqual([MINTED, MINTED, A]);
});

test("a request of duplicates alone is stored nowhere and noted no more", async () => {
  const { calls, store } = rig();
  await store([A]);
  calls.length = 0;
  expect(await store([A])).toEqual([A]);
  expect(calls).toEqual(["existing"]);
});

test("without Redis everything is stored; it is left alone for a while, and logged once, without what was asked", async () => {
  const { calls, clock, logs, state, store, stored } = rig();
  state.down = true;
  await store([A]);
  await store([A]);
  expect(stored).toEqual([A, A]);
  expect(calls).toEqual(["existing", "append", "append"]);
  clock.advance(5_000);
  await store([A]);
  expect(logs).toHaveLength(1);
  expect(logs[0]).toContain("(oops)");
  state.down = false;
  clock.advance(5_000);
  await store([B]);
  expect(logs[1]).toMatch(/^info: Redis answers again/);
});

test.each([
  [undefined, 3_600],
  ["0", 0],
  ["60", 60],
])("DEDUPE_WINDOW_S %s is %i seconds", (variable, seconds) => {
  expect(dedupeWindowS(variable)).toBe(seconds);
});

test.each(["", "-1", "1h", "1.5"])("DEDUPE_WINDOW_S %j is refused", (variable) => {
  expect(() => dedupeWindowS(variable)).toThrow("DEDUPE_WINDOW_S is a number of seconds");
});
