import RudderAnalytics from "@rudderstack/rudder-sdk-node";
import { Analytics } from "@segment/analytics-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { arrived, expectAllArrived } from "./arrival.ts";
import { type Rig, startRig, WRITE_KEY } from "./rig.ts";
import { type Seen, writeRow } from "./table.ts";
import { ODD_ARRIVED, oddValues } from "./values.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig?.stop());

/** Below the 32 KB that Segment's SDK lets through. */
const SEGMENT_LARGE = "x".repeat(30_000);
const LARGE = "x".repeat(900_000);

const named = (name: string) => (event: Event) => event.event === name;
const find = (events: Event[], user: string, name: string) =>
  events.filter(({ event, distinct_id }) => event === name && distinct_id === user);

/** The calls that both SDKs have; the last of them is the track of a large event. */
interface Caller {
  identify(message: Record<string, unknown>): void;
  track(message: Record<string, unknown>): void;
  page(message: Record<string, unknown>): void;
  screen(message: Record<string, unknown>): void;
  group(message: Record<string, unknown>): void;
  alias(message: Record<string, unknown>): void;
}

function sendEverything(sdk: Caller, user: string, large: string, numberId: unknown): void {
  sdk.identify({ userId: user, traits: { ...oddValues(), plan: "pro" } });
  sdk.track({ userId: user, event: "odd värdet 🦊", properties: oddValues() });
  sdk.track({ userId: numberId, event: `${user} number`, properties: {} });
  sdk.track({
    anonymousId: `${user}-anon`,
    event: "past",
    properties: {},
    timestamp: new Date("2020-02-29T01:02:03.004Z"),
  });
  sdk.page({ userId: user, name: "Home", category: "Docs", properties: { url: "https://shop.example/a?b=ü" } });
  sdk.screen({ userId: user, name: "Start", properties: { n: 1 } });
  sdk.group({ userId: user, groupId: "g-1", traits: { name: "Größe" } });
  sdk.alias({ userId: user, previousId: `${user}-anon` });
  sdk.track({ userId: user, event: `${user} large`, properties: { large } });
}

async function expectEverything(user: string, large: string): Promise<Seen> {
  const events = await rig.arrivedWith(named(`${user} large`));
  const one = (name: string, id = user) => {
    const found = find(events, id, name);
    expect(found, `${name} of ${id}`).toHaveLength(1);
    return found[0]!;
  };
  expect(one("$identify").$set).toMatchObject({ ...ODD_ARRIVED, plan: "pro" });
  expect(one("odd värdet 🦊").properties).toMatchObject(ODD_ARRIVED);
  one(`${user} number`, "42");
  const past = Date.parse(one("past", `${user}-anon`).timestamp);
  expect(Math.abs(past - Date.parse("2020-02-29T01:02:03.004Z"))).toBeLessThan(5_000);
  expect(one("$pageview").properties).toMatchObject({ name: "Home", category: "Docs", $host: "shop.example" });
  expect(one("$screen").properties).toMatchObject({ $screen_name: "Start", n: 1 });
  expect(one("$groupidentify").properties).toMatchObject({ $group_key: "g-1", $group_set: { name: "Größe" } });
  expect(one("$create_alias").properties.alias).toBe(`${user}-anon`);
  expect(one(`${user} large`).properties.large).toBe(large);
  return { identify: true, track: true, page: true, group: true, alias: true, "odd values": true };
}

/** The next two requests fail, the second after its events were taken; the event is there once all the same. */
async function expectRetried(send: () => void, name: string): Promise<Seen> {
  const before = rig.front.passed.length;
  rig.front.faults.push("refuse", "lose answer");
  send();
  const events = await rig.arrivedWith(named(name));
  // The answer was lost: the event has arrived, and is yet to be sent once more.
  await expect
    .poll(() => rig.front.passed.slice(before).map(({ status }) => status), { timeout: 60_000 })
    .toEqual([503, 503, 200]);
  await rig.arrivedWith(named(name));
  expect(events.filter(named(name))).toHaveLength(1);
  return { "retry after 503": true, "lost answer, no duplicate": true };
}

it("@segment/analytics-node: what it sends arrives whole, once, also over failures", async () => {
  const from = rig.front.passed.length;
  const analytics = new Analytics({
    writeKey: WRITE_KEY,
    host: rig.front.url,
    maxEventsInBatch: 5,
    flushInterval: 200,
  });
  const errors: unknown[] = [];
  analytics.on("error", (error) => errors.push(error));
  // It refuses a number for an id before it sends anything.
  sendEverything(analytics as unknown as Caller, "segment-node", SEGMENT_LARGE, "42");
  const seen = await expectEverything("segment-node", SEGMENT_LARGE);
  expect(errors).toEqual([]);
  expect(() => analytics.track({ userId: 42 as unknown as string, event: "x" })).toThrow("is not a string");
  const retried = await expectRetried(
    () => analytics.track({ userId: "segment-node", event: "segment-node retried" }),
    "segment-node retried",
  );
  await analytics.closeAndFlush();
  expectAllArrived(rig.front.passed.slice(from), arrived(rig.sink));
  writeRow("@segment/analytics-node", "Node", {
    ...seen,
    ...retried,
    "large event": "30 KB (the SDK's own cap is 32 KB)",
    "clean console": "–",
  });
});

it("@rudderstack/rudder-sdk-node: what it sends arrives whole, once, also over failures", async () => {
  const from = rig.front.passed.length;
  const rudder = new RudderAnalytics(WRITE_KEY, {
    dataPlaneUrl: rig.front.url,
    flushAt: 5,
    flushInterval: 200,
    logLevel: "error",
  });
  sendEverything(rudder as unknown as Caller, "rudder-node", LARGE, 42);
  const seen = await expectEverything("rudder-node", LARGE);
  expect(rig.front.passed.slice(from).every(({ gzipped }) => gzipped)).toBe(true);
  const retried = await expectRetried(
    () => rudder.track({ userId: "rudder-node", event: "rudder-node retried" }),
    "rudder-node retried",
  );
  expectAllArrived(rig.front.passed.slice(from), arrived(rig.sink));
  writeRow("@rudderstack/rudder-sdk-node", "Node, gzip", {
    ...seen,
    ...retried,
    "large event": true,
    "clean console": "–",
  });
});
