import { expect, test } from "vitest";
import type { QuotaConfig } from "../../../shared/config-sources.ts";
import type { DailyUsage } from "../../../shared/lane-api.ts";
import { anEvent } from "../../../shared/testing/builders.ts";
import { FakeClock } from "../../../shared/testing/fake-clock.ts";
import { utcDay } from "../../../shared/utc-day.ts";
import type { Target } from "../accept.ts";
import { laneName } from "../lane-name.ts";
import { DailyQuotas } from "./daily-quotas.ts";
import { quotaVerdict } from "./quota.ts";
import { dailyResourceOf, type Resource, resourceOf } from "./resource.ts";

const NOON = Date.UTC(2026, 0, 1, 12);

function rig(limited: Resource[] = []) {
  const clock = new FakeClock(NOON);
  const counts: Record<string, DailyUsage["counts"]> = {};
  const asked: string[] = [];
  const logs: unknown[] = [];
  const state = { down: false };
  const daily = new DailyQuotas({
    usage: async (lane) => {
      asked.push(lane);
      if (state.down) throw new Error("no answer");
      return { day: utcDay(clock.now()), counts: { ...counts[lane] } };
    },
    clock,
    timer: () => ({ done: new Promise(() => {}), cancel: () => {} }),
    log: (record) => logs.push(record),
  });
  const waited: Promise<unknown>[] = [];
  const redis = limited.length === 0 ? null : { of: async () => new Set(limited) };
  const ask = async (names: string[], quota?: QuotaConfig, target: Partial<Target> = {}) => {
    const events = names.map((event, index) => anEvent({ event, distinct_id: `user ${index}` }));
    const whole: Target = { team: "acme", token: "phc_a", lanes: 1, region: "local", ...target };
    const given = quota === undefined ? whole : { ...whole, quota };
    const verdict = await quotaVerdict(given, events, { redis, daily, waitUntil: (promise) => waited.push(promise) });
    await Promise.all(waited);
    const taken = events.filter((event) => !verdict.refused.has(event));
    return { reasons: [...verdict.refused.values()], taken, settle: verdict.settle };
  };
  /** As a lane does: counts what was let in, and answers. */
  const store = ({ taken, settle }: Awaited<ReturnType<typeof ask>>, lanes = 1) => {
    for (const event of taken) {
      const lane = laneName("acme", "local", lanes, event.distinct_id);
      const resource = dailyResourceOf(event);
      counts[lane] = { ...counts[lane], [resource]: (counts[lane]?.[resource] ?? 0) + 1 };
      daily.learn(lane, { day: utcDay(clock.now()), counts: counts[lane] });
    }
    settle();
  };
  return { ask, asked, clock, counts, daily, logs, state, store };
}

test.each<[string, Record<string, unknown>, Resource]>([
  ["$pageview", {}, "events"],
  ["$exception", {}, "exceptions"],
  ["$snapshot_items", {}, "recordings"],
  ["$ai_generation", {}, "llm_events"],
  ["survey sent", {}, "surveys"],
  ["survey shown", { $product_tour_id: "tour" }, "events"],
  ["survey imagined", {}, "events"],
])("%s %o belongs to %s", (event, properties, resource) => {
  expect(resourceOf(anEvent({ event, properties }))).toBe(resource);
});

test("each limit in Redis takes its own events only, and that of events the rest", async () => {
  const names = ["$pageview", "$exception", "$snapshot_items", "survey sent", "$ai_trace"];
  expect((await rig(["exceptions", "surveys"]).ask(names)).reasons).toEqual(["quota:exceptions", "quota:surveys"]);
  expect((await rig(["events"]).ask(names)).reasons).toEqual(["quota:events"]);
});

test("a limit in Redis holds for a token whose team cannot be read", async () => {
  expect((await rig(["events"]).ask(["a"], undefined, { team: null })).reasons).toEqual(["quota:events"]);
});

test("without any quota nothing is asked", async () => {
  const { ask, asked } = rig();
  expect((await ask(["a", "b"])).reasons).toEqual([]);
  expect(asked).toEqual([]);
});

test("a batch is let in as far as the day's quota goes, each resource by its own", async () => {
  const { ask, store } = rig();
  const quota = { events_per_day: 3, exceptions_per_day: 1 };
  const first = await ask(["a", "$exception", "b", "$exception", "$snapshot_items"], quota);
  expect(first.reasons).toEqual(["quota:exceptions"]);
  store(first);
  const second = await ask(["c", "survey sent", "$ai_trace", "$snapshot_items"], quota);
  expect(second.reasons).toEqual(["quota:events", "quota:events"]);
  store(second);
  expect((await ask(["d"], quota)).reasons).toEqual(["quota:events"]);
});

test("a quota of none lets nothing in", async () => {
  expect((await rig().ask(["a"], { events_per_day: 0 })).reasons).toEqual(["quota:events"]);
});

test("requests that are under way share what is left; what they did not store is given back", async () => {
  const { ask, store } = rig();
  const quota = { events_per_day: 2 };
  const [first, second] = [await ask(["a"], quota), await ask(["b", "c"], quota)];
  expect(second.reasons).toEqual(["quota:events"]);
  first.settle();
  store(second);
  expect((await ask(["d", "e"], quota)).reasons).toEqual(["quota:events"]);
});

test("what a request took that the runtime has ended is given back after a while", async () => {
  const { ask, clock } = rig();
  const quota = { events_per_day: 1 };
  await ask(["ended"], quota);
  expect((await ask(["a"], quota)).reasons).toEqual(["quota:events"]);
  clock.advance(20_000);
  expect((await ask(["a"], quota)).reasons).toEqual([]);
});

test("an isolate hears from the lane what others have used, and asks no more often for traffic that it refuses", async () => {
  const { ask, asked, clock, counts } = rig();
  const quota = { events_per_day: 100 };
  (await ask(["a"], quota)).settle();
  counts["acme:local:0"] = { events: 100 };
  expect((await ask(["a"], quota)).reasons).toEqual([]);
  clock.advance(5_000);
  await ask(["a"], quota);
  for (let i = 0; i < 50; i++) expect((await ask(["a"], quota)).reasons).toEqual(["quota:events"]);
  expect(asked).toHaveLength(2);
});

test("a new day begins with the whole quota, whatever late answers say of the last one", async () => {
  const { ask, clock, counts, daily, store } = rig();
  const quota = { events_per_day: 1 };
  store(await ask(["a"], quota));
  expect((await ask(["b"], quota)).reasons).toEqual(["quota:events"]);
  const yesterday = utcDay(clock.now());
  clock.advance(12 * 60 * 60 * 1000);
  counts["acme:local:0"] = {};
  const first = await ask(["c"], quota);
  daily.learn("acme:local:0", { day: yesterday, counts: { events: 1 } });
  expect(first.reasons).toEqual([]);
});

test("each of several lanes has its share, rounded up", async () => {
  const { ask, counts } = rig();
  counts["acme:local:0"] = { events: 3 };
  const { taken } = await ask(["a", "b", "c", "d", "e", "f"], { events_per_day: 5 }, { lanes: 2 });
  const lanes = taken.map((event) => laneName("acme", "local", 2, event.distinct_id));
  expect(new Set(lanes)).toEqual(new Set(["acme:local:1"]));
  expect(lanes.length).toBeLessThanOrEqual(3);
});

test("a lane that does not answer holds nobody up", async () => {
  const { ask, logs, state } = rig();
  state.down = true;
  expect((await ask(["a"], { events_per_day: 1 })).reasons).toEqual([]);
  expect(logs).toMatchObject([{ level: "warn", lane: "acme:local:0" }]);
});
