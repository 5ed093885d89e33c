import { describe, expect, it } from "vitest";
import type { Event } from "../../../shared/event.ts";
import { anEvent } from "../../../shared/testing/builders.ts";
import { runScripts } from "./testing/run-scripts.ts";

const SCRIPTS = import.meta.glob("./scripts/*", { query: "?raw", import: "default", eager: true }) as Record<
  string,
  string
>;

interface Case {
  script: string;
  inputs?: Record<string, unknown>;
  /** Events given, by what differs from `anEvent`. */
  given: Partial<Event>[];
  /** What they become, by what differs from what was given; null where one is dropped. */
  becomes: (Partial<Event> | null)[];
  logs?: string[];
}

const BERLIN = {
  ...{ city: "Berlin", country: "DE", continent: "EU", timezone: "Europe/Berlin" },
  ...{ latitude: 52.5, longitude: 13.4, region: "Berlin" },
};
const BERLIN_PROPERTIES = {
  $geoip_city_name: "Berlin",
  $geoip_country_name: "Germany",
  $geoip_country_code: "DE",
  $geoip_continent_name: "Europe",
  $geoip_continent_code: "EU",
  $geoip_latitude: 52.5,
  $geoip_longitude: 13.4,
  $geoip_time_zone: "Europe/Berlin",
};
const INITIAL = Object.fromEntries(
  Object.entries(BERLIN_PROPERTIES).map(([key, value]) => [key.replace("$geoip", "$initial_geoip"), value]),
);
const CHROME = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36";

const CASES: Case[] = [
  {
    script: "property-filter.js",
    inputs: { properties: "email, $set.email, deep.in.it, $ip" },
    given: [
      {
        properties: { email: "a@b.c", plan: "pro", deep: { in: { it: 1, stays: 2 } } },
        $set: { email: "a@b.c", n: 1 },
      },
      { properties: { $ip: "198.51.100.9" } },
    ],
    becomes: [
      { properties: { plan: "pro", deep: { in: { stays: 2 } } }, $set: { n: 1 }, ip: null },
      { properties: {}, ip: null },
    ],
  },
  {
    script: "url-normaliser.ts",
    given: [
      { properties: { $current_url: "HTTPS://X.Example/Path//?Q=1", $referrer: "$direct" } },
      { properties: { $current_url: "nowhere", $referrer: "https://y.example/" } },
    ],
    becomes: [
      { properties: { $current_url: "https://x.example/path?q=1", $referrer: "$direct" } },
      { properties: { $current_url: "nowhere", $referrer: "https://y.example" } },
    ],
    logs: ["not a url: nowhere"],
  },
  {
    script: "currency-normaliser.js",
    inputs: {
      normalized_currency: "EUR",
      amount_property: "amount",
      currency_property: "currency",
      normalized_amount_property: "eur",
      normalized_currency_property: "in",
    },
    given: [{ properties: { amount: 100, currency: "USD" } }, { properties: { amount: 5, currency: "???" } }],
    becomes: [
      { properties: { amount: 100, currency: "USD", eur: 80, in: "EUR" } },
      { properties: { amount: 5, currency: "???" } },
    ],
  },
  {
    script: "geoip-enricher.ts",
    given: [
      { properties: { a: 1 }, geo: BERLIN, $set: { name: "A" } },
      { properties: { $geoip_disable: true }, geo: BERLIN },
      { properties: {}, ip: null },
      { properties: { $ip: "198.51.100.9" }, geo: BERLIN },
    ],
    becomes: [
      {
        properties: { a: 1, ...BERLIN_PROPERTIES },
        $set: { name: "A", ...BERLIN_PROPERTIES },
        $set_once: INITIAL,
      },
      {},
      {},
      // The place is that of what the client stated.
      {
        properties: { $ip: "198.51.100.9", ...BERLIN_PROPERTIES },
        $set: BERLIN_PROPERTIES,
        $set_once: INITIAL,
      },
    ],
  },
  {
    script: "ip-anonymiser.js",
    given: [
      { ip: "203.0.113.77" },
      { ip: "2001:db8:1:2:3:4:5:6" },
      { properties: { $ip: "198.51.100.9" } },
      { ip: null },
    ],
    becomes: [
      { ip: "203.0.113.0" },
      { ip: "2001:db8:1::" },
      { properties: { $ip: "198.51.100.0" }, ip: "198.51.100.0" },
      {},
    ],
  },
  {
    script: "taxonomy.js",
    inputs: { defaultNamingConvention: "snake_case" },
    given: [{ event: "userSignedUp" }, { event: "Order-Completed now" }, { event: "$pageview" }],
    becomes: [{ event: "user_signed_up" }, { event: "order_completed_now" }, {}],
  },
  {
    script: "schema-enforcer.ts",
    inputs: {
      schema: '{"order":{"total":{"type":"number","required":true},"note":{"type":"string"}}}',
      violations: "mark",
    },
    given: [
      { event: "order", properties: { total: 3 } },
      { event: "order", properties: { note: 1 } },
      { event: "other", properties: {} },
    ],
    becomes: [{}, { properties: { note: 1, $schema_violations: ["total is missing", "note is no string"] } }, {}],
  },
  {
    script: "schema-enforcer.ts",
    inputs: { schema: '{"order":{"total":{"type":"number","required":true}}}', violations: "drop" },
    given: [
      { event: "order", properties: { total: "3" } },
      { event: "order", properties: { total: 3 } },
    ],
    becomes: [null, {}],
  },
  {
    // By SHA-256 they stand at 0.78, 0.85 and 0.57.
    script: "downsampling.js",
    inputs: { percentage: "70" },
    given: ["user-1", "user-2", "user-3"].map((distinct_id) => ({ distinct_id })),
    becomes: [null, null, {}],
  },
  {
    script: "semver-flattener.ts",
    inputs: { properties: "app, lib" },
    given: [{ properties: { app: "v1.2.3-beta.1+5", lib: "4.5" } }, { properties: { app: "none" } }],
    becomes: [
      {
        properties: {
          ...{ app: "v1.2.3-beta.1+5", lib: "4.5", app__major: 1, app__minor: 2, app__patch: 3 },
          ...{ app__preRelease: "beta.1", app__build: "5", lib__major: 4, lib__minor: 5 },
        },
      },
      {},
    ],
  },
  {
    script: "timestamp-parser.js",
    given: [{ timestamp: "2026-03-04T05:06:07.000Z", properties: { $current_url: "https://x.example/p" } }],
    becomes: [
      {
        properties: {
          ...{
            $current_url: "https://x.example/p",
            day_of_the_week: "Wednesday",
            year: "2026",
            month: "03",
            day: "04",
          },
          ...{ hour: 5, minute: 6, domain: "x.example" },
        },
      },
    ],
  },
  {
    script: "user-agent-populator.ts",
    inputs: { overrideUserAgentDetails: "false", debugMode: "true" },
    given: [{ properties: { $useragent: CHROME } }, { properties: { $useragent: CHROME, $browser: "known" } }],
    becomes: [{ properties: { $browser: "chrome", $browser_version: "120", $device_type: "Mobile" } }, {}],
    logs: ["kept the browser of 01890a5d-ac96-774b-bcce-b302099a8057"],
  },
  {
    script: "advanced-geoip.js",
    inputs: { discardIp: "true", discardLibs: "posthog-node, server" },
    given: [
      { properties: { $lib: "server", $geoip_city_name: "X", a: 1 }, $set: { $geoip_city_name: "X", b: 2 } },
      { properties: { $lib: "web", $geoip_city_name: "X" } },
    ],
    becomes: [{ properties: { $lib: "server", a: 1 }, $set: { b: 2 }, ip: null }, { ip: null }],
    logs: ["discarded what is known of the place of server"],
  },
  {
    script: "drop-on-property.js",
    inputs: { property_key: "internal", property_values: "true,yes" },
    given: [{ properties: { internal: true } }, { properties: { internal: "no" } }, { properties: {} }],
    becomes: [null, {}, {}],
  },
  {
    script: "url-parameters.ts",
    inputs: {
      parameters: "ref, plan",
      prefix: "url_",
      setAsUserProperties: "true",
      setAsInitialUserProperties: "true",
    },
    given: [
      { properties: { $current_url: "https://x.example/?ref=mail&other=1" }, $set: { a: 1 } },
      { properties: {} },
    ],
    becomes: [
      {
        properties: { $current_url: "https://x.example/?ref=mail&other=1", url_ref: "mail" },
        $set: { a: 1, url_ref: "mail" },
        $set_once: { initial_url_ref: "mail" },
      },
      {},
    ],
  },
];

function expectedOf({ given, becomes }: Case): Event[] {
  return given.flatMap((event, i) => {
    const change = becomes[i];
    return change === null ? [] : [{ ...anEvent(event), ...change }];
  });
}

function run({ script, inputs = {}, given }: Case, careful = false) {
  return runScripts(
    [{ code: SCRIPTS[`./scripts/${script}`]!, filename: script, inputs }],
    given.map((e) => anEvent(e)),
    careful,
  );
}

describe("a script that does what a PostHog plugin does", () => {
  it.each(CASES)("runs as it would there: $script", async (example) => {
    const { result, events } = await run(example);
    expect(result.errors).toEqual([]);
    expect(events).toEqual(expectedOf(example));
    expect((result.logs ?? []).map(({ text }) => text)).toEqual(example.logs ?? []);
  });

  it.each(CASES)("does so one event at a time: $script", async (example) => {
    const { result, events } = await run(example, true);
    expect(result.errors).toEqual([]);
    expect(events).toEqual(expectedOf(example));
  });
});

const code = (body: string) => [{ code: body, filename: "plugin.js" }];

describe("a PostHog plugin", () => {
  it("does not load where setupPlugin throws, and says why and where", async () => {
    const spec = {
      code: SCRIPTS["./scripts/downsampling.js"]!,
      filename: "downsampling.js",
      inputs: { percentage: "x" },
    };
    const { result, events } = await runScripts([spec], [anEvent()]);
    expect(result.errors).toMatchObject([
      {
        script: "s0",
        message: "does not load: Error: Percentage must be a number between 0 and 100. (line 11)",
        count: 1,
      },
    ]);
    expect(events[0]?.properties.$transformations_failed).toEqual(["s0"]);
  });

  it("may wait in setupPlugin, and keeps meta.global from one event to the next", async () => {
    const body = `export async function setupPlugin({ global }) { await null; global.count = 10 }
export async function processEvent(event, { global }) { event.properties.count = ++global.count; return event }`;
    const { events } = await runScripts(code(body), [anEvent(), anEvent(), anEvent()]);
    expect(events.map(({ properties }) => properties.count)).toEqual([11, 12, 13]);
  });

  it.each([
    [
      "never resolves",
      "return new Promise(() => {})",
      "returned a promise that never resolves: there is nothing here to wait for",
    ],
    ["rejects", "await null; throw new Error('no')", "Error: no (line 1)"],
    [
      "waits for ever",
      "for (;;) await null",
      "ran out of fuel after 500000 steps: it loops for ever or does too much (line 1)",
    ],
    [
      "uses storage that publishing did not find",
      "return meta['sto' + 'rage']",
      "Error: cannot use meta.storage: a script has no storage",
    ],
  ])("fails alone where it %s", async (_, body, message) => {
    const script = `export async function processEvent(event, meta) { if (event.event === "bad") { ${body} } return event }`;
    const { result, events } = await runScripts(code(script), [anEvent(), anEvent({ event: "bad" }), anEvent()]);
    expect(result.errors).toMatchObject([{ script: "s0", count: 1, index: 1 }]);
    expect(result.errors[0]?.message).toContain(message);
    expect(events.map(({ properties }) => properties.$transformations_failed)).toEqual([undefined, ["s0"], undefined]);
  });

  it("runs beside scripts of Headwater's own, in their order", async () => {
    const own = { code: "export function transform(event) { event.properties.trail += 'h'; return event }" };
    const theirs = {
      code: "export async function processEvent(event) { event.properties.trail += 'p'; return event }",
    };
    const { events } = await runScripts([own, theirs, own], [anEvent({ properties: { trail: "" } })]);
    expect(events[0]?.properties).toEqual({ trail: "hph" });
  });

  it("may digest by the platform's own calls, which answer with promises", async () => {
    const body = `export async function processEvent(event) {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(event.distinct_id));
  event.properties.bytes = bytes.byteLength;
  return event;
}`;
    const { result, events } = await runScripts(code(body), [anEvent()]);
    expect(result.errors).toEqual([]);
    expect(events[0]?.properties.bytes).toBe(32);
  });
});
