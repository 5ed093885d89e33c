import { expect, test } from "vitest";
import { FakeClock } from "../../../shared/testing/fake-clock.ts";
import { RedisLimits } from "./redis-limits.ts";

function rig() {
  const clock = new FakeClock(Date.UTC(2026, 0, 1, 12));
  const nowS = clock.now() / 1000;
  const sets: Record<string, [string, number][]> = {};
  const state = { down: false, asked: [] as unknown[] };
  const limits = new RedisLimits({
    scored: async (keys, min) => {
      state.asked.push({ keys, min });
      if (state.down) throw new Error("down");
      return keys.map((key) => (sets[key] ?? []).filter(([, score]) => score >= min));
    },
    clock,
    timer: () => ({ done: new Promise(() => {}), cancel: () => {} }),
    log: () => {},
  });
  /** What holds after whatever the request has started. */
  const of = async (token: string) => {
    const waited: Promise<unknown>[] = [];
    await limits.of(token, (promise) => waited.push(promise));
    await Promise.all(waited);
    return [...(await limits.of(token, () => {}))];
  };
  return { clock, nowS, sets, state, of };
}

test("PostHog's sorted sets are read from now on, and say which token is over quota of what", async () => {
  const { nowS, of, sets, state } = rig();
  sets["@posthog/quota-limits/events"] = [
    ["phc_a", nowS + 60],
    ["phc_past", nowS - 1],
  ];
  sets["@posthog/quota-limits/recordings"] = [["phc_a", nowS + 60]];
  expect(await of("phc_a")).toEqual(["events", "recordings"]);
  expect(await of("phc_past")).toEqual([]);
  expect(await of("phc_b")).toEqual([]);
  expect(state.asked).toEqual([
    {
      keys: ["events", "exceptions", "recordings", "surveys", "llm_events"].map(
        (resource) => `@posthog/quota-limits/${resource}`,
      ),
      min: nowS,
    },
  ]);
});

test("a limit ends at its score, not at the next read", async () => {
  const { clock, nowS, of, sets } = rig();
  sets["@posthog/quota-limits/events"] = [["phc_a", nowS + 2]];
  expect(await of("phc_a")).toEqual(["events"]);
  clock.advance(2_000);
  expect(await of("phc_a")).toEqual([]);
});

test("without Redis nobody is over quota", async () => {
  const { of, state } = rig();
  state.down = true;
  expect(await of("phc_a")).toEqual([]);
});

test("limits outlive a Redis that goes away, for five minutes", async () => {
  const { clock, nowS, of, sets, state } = rig();
  sets["@posthog/quota-limits/events"] = [["phc_a", nowS + 86_400]];
  await of("phc_a");
  state.down = true;
  clock.advance(300_000);
  expect(await of("phc_a")).toEqual(["events"]);
  clock.advance(1);
  expect(await of("phc_a")).toEqual([]);
  state.down = false;
  clock.advance(5_000);
  expect(await of("phc_a")).toEqual(["events"]);
});
