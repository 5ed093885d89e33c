import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { arrived, expectAllArrived, expectEventArrived, posthogEventsOf } from "./arrival.ts";
import { findChromium, type SdkPage, Site } from "./browser.ts";
import { JITSU_KEY, type Rig, startRig, WRITE_KEY } from "./rig.ts";
import { type Seen, writeRow } from "./table.ts";
import { ODD_ARRIVED, ODD_SOURCE } from "./values.ts";

const chromium = findChromium();
if (!chromium.available) console.log(`the SDKs for browsers are not tested: ${chromium.reason}`);

let rig: Rig;
let site: Site;
let open: SdkPage | undefined;

beforeAll(async () => {
  if (!chromium.available) return;
  rig = await startRig();
  site = await Site.start(chromium.path);
});
afterEach(async () => {
  await open?.close();
  open = undefined;
});
afterAll(async () => {
  await site?.stop();
  await rig?.stop();
});

/** The SDK itself sends an empty object for a date. */
const POSTHOG_ODD = { ...ODD_ARRIVED, date: {} };
/** The SDK itself leaves null out, and makes an object of a list that had one. */
const { nothing: _nothing, list: _list, ...RUDDER_ODD } = ODD_ARRIVED;

const named = (name: string) => (event: Event) => event.event === name;

/** Opens a page with the SDK and runs its start there; `arg` reaches the script as `arg`. */
async function start(name: string, script: string, arg: Record<string, unknown>): Promise<SdkPage> {
  open = await site.open(name);
  await run(open, script, arg);
  return open;
}

/** Runs the text of a script in the page, where `sdk` and `odd` are what it needs. */
function run({ page }: SdkPage, script: string, arg: Record<string, unknown> = {}): Promise<unknown> {
  return page.evaluate(`(async () => { const arg = ${JSON.stringify(arg)}; const odd = ${ODD_SOURCE}; ${script} })()`);
}

/** Exactly one event of this name and user. */
function one(events: Event[], name: string, user: string): Event {
  const found = events.filter(({ event, distinct_id }) => event === name && distinct_id === user);
  expect(found, `${name} of ${user}`).toHaveLength(1);
  return found[0]!;
}

/** What the client says, corrected by the time that its request took. */
function expectPast({ timestamp }: Event): void {
  expect(Math.abs(Date.parse(timestamp) - Date.parse("2020-02-29T01:02:03.004Z"))).toBeLessThan(5_000);
}

/** The next two requests fail, the second after its events were taken; the event is there once all the same. */
async function expectRetried(page: SdkPage, script: string, name: string): Promise<Seen> {
  const before = rig.front.passed.length;
  rig.front.faults.push("refuse", "lose answer");
  await run(page, script);
  const tries = () => rig.front.passed.slice(before).filter(({ body, gzipped }) => gzipped || body.length > 2);
  await expect
    .poll(() => tries().map(({ status }) => status), { timeout: 90_000, interval: 250 })
    .toEqual([503, 503, 200]);
  const events = await rig.arrivedWith(named(name));
  expect(events.filter(named(name))).toHaveLength(1);
  return { "retry after 503": true, "lost answer, no duplicate": true };
}

const LARGE = 900_000;
const DONE: Seen = { identify: true, track: true, page: true, group: true, alias: true, "odd values": true };

describe.skipIf(!chromium.available)("in Chromium, from a page of another origin", () => {
  describe("posthog-js", () => {
    const init = `
      await new Promise((loaded) => sdk.init(arg.token, {
        api_host: arg.host, capture_pageview: false, autocapture: false, request_batching: false,
        // A headless browser is a bot to it.
        opt_out_useragent_filter: true, loaded: () => loaded(), ...arg.options,
      }));
      if (arg.compression) sdk.compression = arg.compression;`;
    const calls = `
      const { user, way } = arg;
      sdk.identify(user, { ...odd, plan: "pro" }, { first: 1 });
      sdk.capture(way + " odd värdet 🦊", odd);
      sdk.capture("$pageview");
      sdk.group("company", "g-1", { name: "Größe" });
      sdk.alias(user + "-other", user);
      // It cuts a text after 65,535 characters.
      sdk.capture(way + " large", { large: Array.from({ length: arg.large / 10_000 }, () => "x".repeat(10_000)) });
      sdk.capture(way + " past", { n: 1 }, { timestamp: new Date("2020-02-29T01:02:03.004Z") });
      sdk.capture(way + " last", undefined, arg.transport ? { transport: arg.transport } : undefined);`;

    interface Way {
      way: string;
      prefix?: string;
      options?: Record<string, unknown>;
      compression?: string;
      transport?: string;
      large?: number;
      retries?: boolean;
      gzipped: boolean;
    }
    const ways: Way[] = [
      { way: "fetch, gzip", gzipped: true },
      { way: "fetch, plain JSON", options: { disable_compression: true }, gzipped: false },
      { way: "fetch, base64", compression: "base64", gzipped: false },
      { way: "XHR, gzip, under a prefix", prefix: "/ingest", options: { api_transport: "XHR" }, gzipped: true },
    ];

    it.each(ways)("by $way: what it sends arrives whole, once, also over failures", async (given) => {
      const { way, prefix = "", options = {}, compression, gzipped } = given;
      const user = `posthog ${way}`;
      const from = rig.front.passed.length;
      const host = rig.front.url + prefix;
      const page = await start("posthog", init, { token: WRITE_KEY, host, options, compression });
      await run(page, calls, { user, way, large: LARGE });
      // Each event is a request of its own, and a large one takes longer than those behind it.
      const names = ["odd värdet 🦊", "large", "past", "last"].map((what) => `${way} ${what}`);
      const expected = ["$identify", "$pageview", "$groupidentify", "$create_alias", ...names];
      const events = await rig.arrivedWith(
        ...expected.map((name) => (event: Event) => event.event === name && event.distinct_id === user),
      );
      expect(one(events, "$identify", user).$set).toMatchObject({ ...POSTHOG_ODD, plan: "pro" });
      expect(one(events, `${way} odd värdet 🦊`, user).properties).toMatchObject(POSTHOG_ODD);
      expect(one(events, "$pageview", user).properties).toMatchObject({ utm_campaign: "grün", title: "Größe 🦊" });
      expect(one(events, "$groupidentify", user).properties).toMatchObject({ $group_key: "g-1" });
      expect(one(events, "$create_alias", user).properties.alias).toBe(`${user}-other`);
      expectPast(one(events, `${way} past`, user));
      expect((one(events, `${way} large`, user).properties.large as string[]).join("")).toHaveLength(LARGE);
      expect(page.complaints).toEqual([]);
      // The page before may have had a last word while this one started.
      const isOfAnother = ({ distinct_id: id }: { distinct_id?: unknown }) =>
        ways.some((other) => other.way !== way && id === `posthog ${other.way}`);
      const sent = rig.front.passed.slice(from).filter((request) => !posthogEventsOf(request).some(isOfAnother));
      expect(new Set(sent.map((request) => request.gzipped))).toEqual(new Set([gzipped]));
      const retried = await expectRetried(page, `sdk.capture("${way} retried")`, `${way} retried`);
      const all = arrived(rig.sink);
      for (const event of sent.flatMap(posthogEventsOf)) expectEventArrived(event, all);
      writeRow("posthog-js", way, { ...DONE, "large event": true, ...retried, "clean console": true });
    });

    it("by sendBeacon, as the page is left: what it sends arrives whole, once", async () => {
      const way = "sendBeacon";
      const user = `posthog ${way}`;
      const from = rig.front.passed.length;
      const page = await start("posthog", init, {
        token: WRITE_KEY,
        host: rig.front.url,
        options: { request_batching: true, request_queue_config: { flush_interval_ms: 5_000 } },
      });
      await run(page, calls, { user, way, large: 20_000 });
      // It sends some at once and by fetch; the rest it keeps for five seconds, and leaves the page before.
      await rig.arrivedWith(({ event, distinct_id }) => event === "$identify" && distinct_id === user);
      await rig.arrivedWith(named(`${way} past`));
      await page.page.goto("about:blank");
      const events = await rig.arrivedWith(named(`${way} last`));
      expect(one(events, `${way} odd värdet 🦊`, user).properties).toMatchObject(POSTHOG_ODD);
      expect(one(events, "$identify", user).$set).toMatchObject({ ...POSTHOG_ODD, plan: "pro" });
      expect(page.complaints).toEqual([]);
      const sent = rig.front.passed.slice(from);
      // Of all ways in which a script sends a POST, only a beacon is without CORS.
      const beacons = sent.filter(({ headers }) => headers["sec-fetch-mode"] === "no-cors");
      expect(beacons.flatMap(posthogEventsOf).map(({ event }) => event)).toContain(`${way} last`);
      for (const event of sent.flatMap(posthogEventsOf)) expectEventArrived(event, events);
      writeRow("posthog-js", way, {
        ...DONE,
        "large event": "20 KB (browsers cap beacons at 64 KB)",
        "retry after 503": "a beacon has no answer",
        "lost answer, no duplicate": "–",
        "clean console": true,
      });
    });
  });

  it("@segment/analytics-next: what it sends arrives whole, once, also over failures", async () => {
    const user = "segment-next";
    const from = rig.front.passed.length;
    const page = await start(
      "segment",
      "globalThis.analytics = sdk.load({ writeKey: arg.token, cdnURL: arg.host }); await analytics.ready();",
      { token: WRITE_KEY, host: rig.front.url },
    );
    await run(
      page,
      `await analytics.track(arg.user + " before");
       await analytics.identify(arg.user, { ...odd, plan: "pro" });
       await analytics.track(arg.user + " odd värdet 🦊", odd);
       await analytics.page("Docs", "Home", { extra: 1 });
       await analytics.screen("Docs", "Start", { n: 1 });
       await analytics.group("g-1", { name: "Größe" });
       await analytics.alias(arg.user, arg.user + "-old");
       await analytics.track(arg.user + " past", {}, { timestamp: new Date("2020-02-29T01:02:03.004Z") });
       await analytics.track(arg.user + " large", { large: "x".repeat(arg.large) });
       await analytics.identify(42);
       await analytics.track(arg.user + " number");
       await analytics.identify(arg.user);`,
      { user, large: LARGE },
    );
    const events = await rig.arrivedWith(named(`${user} number`));
    const anonymous = events.find(named(`${user} before`))!;
    expect(events.filter(named("$identify")).filter(({ distinct_id }) => distinct_id === user)[0]).toMatchObject({
      $set: { ...ODD_ARRIVED, plan: "pro" },
      properties: { $anon_distinct_id: anonymous.distinct_id },
    });
    expect(one(events, `${user} odd värdet 🦊`, user).properties).toMatchObject(ODD_ARRIVED);
    expect(one(events, "$pageview", user).properties).toMatchObject({
      name: "Home",
      category: "Docs",
      extra: 1,
      title: "Größe 🦊",
      utm_campaign: "grün",
    });
    expect(one(events, "$screen", user).properties).toMatchObject({ $screen_name: "Start" });
    expect(one(events, "$groupidentify", user).properties).toMatchObject({
      $group_key: "g-1",
      $group_set: { name: "Größe" },
    });
    expect(one(events, "$create_alias", user).properties.alias).toBe(`${user}-old`);
    expectPast(one(events, `${user} past`, user));
    expect(one(events, `${user} large`, user).properties.large).toHaveLength(LARGE);
    one(events, `${user} number`, "42");
    expect(page.complaints).toEqual([]);
    const retried = await expectRetried(page, `analytics.track("${user} retried")`, `${user} retried`);
    expectAllArrived(rig.front.passed.slice(from), arrived(rig.sink));
    writeRow("@segment/analytics-next", "fetch", { ...DONE, "large event": true, ...retried, "clean console": true });
  });

  it("@rudderstack/analytics-js: what it sends arrives whole, once, also over failures", async () => {
    const user = "rudder-js";
    const from = rig.front.passed.length;
    const page = await start(
      "rudderstack",
      "await new Promise((onLoaded) => sdk.load(arg.token, arg.host, { configUrl: arg.host, logLevel: 'ERROR', onLoaded }));",
      { token: WRITE_KEY, host: rig.front.url },
    );
    await run(
      page,
      `sdk.track(arg.user + " before");
       sdk.identify(arg.user, { ...odd, plan: "pro" });
       sdk.track(arg.user + " odd värdet 🦊", odd);
       sdk.page("Docs", "Home", { extra: 1 });
       sdk.group("g-1", { name: "Größe" });
       sdk.alias(arg.user, arg.user + "-old");
       sdk.track(arg.user + " past", {}, { originalTimestamp: "2020-02-29T01:02:03.004Z" });
       sdk.track(arg.user + " large", { large: "x".repeat(arg.large) });
       sdk.identify(42);
       sdk.track(arg.user + " number");`,
      { user, large: LARGE },
    );
    const events = await rig.arrivedWith(named(`${user} number`));
    const anonymous = events.find(named(`${user} before`))!;
    expect(one(events, "$identify", user)).toMatchObject({
      $set: { ...RUDDER_ODD, plan: "pro" },
      properties: { $anon_distinct_id: anonymous.distinct_id },
    });
    expect(one(events, `${user} odd värdet 🦊`, user).properties).toMatchObject(RUDDER_ODD);
    expect(one(events, "$pageview", user).properties).toMatchObject({ name: "Home", category: "Docs", extra: 1 });
    expect(one(events, "$groupidentify", user).properties).toMatchObject({
      $group_key: "g-1",
      $group_set: { name: "Größe" },
    });
    expect(one(events, "$create_alias", user).properties.alias).toBe(`${user}-old`);
    expectPast(one(events, `${user} past`, user));
    expect(one(events, `${user} large`, user).properties.large).toHaveLength(LARGE);
    one(events, `${user} number`, "42");
    expect(page.complaints).toEqual([]);
    const retried = await expectRetried(page, `sdk.track("${user} retried")`, `${user} retried`);
    expectAllArrived(rig.front.passed.slice(from), arrived(rig.sink));
    writeRow("@rudderstack/analytics-js", "XHR", { ...DONE, "large event": true, ...retried, "clean console": true });
  });

  it("@rudderstack/analytics-js, by beacons: what it sends as the page is left arrives once", async () => {
    const user = "rudder-beacon";
    const from = rig.front.passed.length;
    const page = await start(
      "rudderstack",
      "await new Promise((onLoaded) => sdk.load(arg.token, arg.host, { configUrl: arg.host, logLevel: 'ERROR', useBeacon: true, onLoaded }));",
      { token: WRITE_KEY, host: rig.front.url },
    );
    await run(page, `sdk.identify(arg.user, odd); sdk.track(arg.user + " last", odd);`, { user });
    await page.page.waitForTimeout(500);
    await page.page.goto("about:blank");
    const events = await rig.arrivedWith(named(`${user} last`));
    expect(one(events, `${user} last`, user).properties).toMatchObject(RUDDER_ODD);
    expect(page.complaints).toEqual([]);
    const sent = rig.front.passed.slice(from);
    expect(sent.every(({ path }) => path === "/beacon/v1/batch")).toBe(true);
    expectAllArrived(sent, events);
    writeRow("@rudderstack/analytics-js", "sendBeacon", {
      identify: true,
      track: true,
      "odd values": true,
      "large event": "–",
      "retry after 503": "a beacon has no answer",
      "lost answer, no duplicate": "–",
      "clean console": true,
    });
  });

  it("@jitsu/js: what it sends arrives whole, once", async () => {
    const user = "jitsu";
    const from = rig.front.passed.length;
    const page = await start("jitsu", "globalThis.jitsu = sdk({ writeKey: arg.token, host: arg.host });", {
      token: JITSU_KEY,
      host: rig.front.url,
    });
    await run(
      page,
      `await jitsu.track(arg.user + " before");
       await jitsu.identify(arg.user, { ...odd, plan: "pro" });
       await jitsu.track(arg.user + " odd värdet 🦊", odd);
       await jitsu.page("Home", { extra: 1 });
       await jitsu.group("g-1", { name: "Größe" });
       await jitsu.track(arg.user + " large", { large: "x".repeat(arg.large) });
       await jitsu.track(arg.user + " last");`,
      { user, large: LARGE },
    );
    const events = await rig.arrivedWith(named(`${user} last`));
    expect(one(events, "$identify", user).$set).toMatchObject({ ...ODD_ARRIVED, plan: "pro" });
    expect(one(events, `${user} odd värdet 🦊`, user).properties).toMatchObject(ODD_ARRIVED);
    expect(one(events, "$pageview", user).properties).toMatchObject({ extra: 1 });
    expect(one(events, "$groupidentify", user).properties).toMatchObject({
      $group_key: "g-1",
      $group_set: { name: "Größe" },
    });
    expect(one(events, `${user} large`, user).properties.large).toHaveLength(LARGE);
    expect(page.complaints).toEqual([]);
    expectAllArrived(rig.front.passed.slice(from), events);
    writeRow("@jitsu/js", "fetch", {
      ...DONE,
      alias: "not in the SDK",
      "large event": true,
      "retry after 503": "the SDK never retries",
      "lost answer, no duplicate": "–",
      "clean console": true,
    });
  });
});
