import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Event } from "../../../shared/event.ts";
import { anEvent } from "../../../shared/testing/builders.ts";
import { deriveUuid } from "../isolate/derive-uuid.ts";
import { runScripts, type ScriptSpec } from "./testing/run-scripts.ts";

const SCRIPTS = import.meta.glob("./scripts/*", { query: "?raw", import: "default", eager: true }) as Record<
  string,
  string
>;

interface Case extends Omit<ScriptSpec, "code"> {
  script: string;
  /** Events given, by what differs from `anEvent`. */
  given: Partial<Event>[];
  /** What they become, by what differs from what was given; null where one is dropped, several where it becomes several. */
  becomes: (Partial<Event> | null | Partial<Event>[])[];
  logs?: string[];
}

const CHROME =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
/** What capture keeps of a message. */
const kept = (more: object = {}) => ({ type: "track", userId: "user-1", messageId: "m-1", ...more });

const CASES: Case[] = [
  {
    script: "pii-masking.js",
    given: [
      {
        event: "Contact",
        properties: {
          ...{ text: "mail a.b@c.de or +4930123456", list: [{ to: "x@y.zz" }], n: 1 },
          $segment: kept({ context: { traits: { email: "a.b@c.de" } } }),
        },
      },
      { event: "$identify", properties: {}, $set: { email: "a.b@c.de", plan: "pro" } },
    ],
    becomes: [
      {
        properties: {
          ...{ text: "mail [email] or [phone]", list: [{ to: "[email]" }], n: 1 },
          $segment: kept({ context: { traits: { email: "[email]" } } }),
        },
      },
      { $set: { email: "[email]", plan: "pro" } },
    ],
    logs: ["masked m-1", "masked 01890a5d-ac96-774b-bcce-b302099a8057"],
  },
  {
    script: "enrich-metadata.js",
    given: [
      {
        event: "Order Completed",
        source: "web",
        properties: {
          products: [
            { price: 2, quantity: 3 },
            { price: 1, quantity: 1 },
          ],
          $segment: kept(),
        },
      },
    ],
    becomes: [
      {
        properties: {
          products: [
            { price: 2, quantity: 3 },
            { price: 1, quantity: 1 },
          ],
          revenue: 7,
          $segment: kept({ context: { source: { id: "web", workspace: "acme", kind: "track" } } }),
        },
      },
    ],
  },
  {
    script: "allow-list.js",
    given: [
      { event: "$identify", $set: { email: "a@example.com" } },
      { event: "$identify", $set: { email: "a@elsewhere.net" } },
      { properties: { $segment: kept({ context: { traits: { email: "a@elsewhere.net" } } }) } },
      {},
    ],
    becomes: [{}, null, null, {}],
  },
  {
    script: "remove-nulls.js",
    given: [{ event: "Order", properties: { a: null, b: "", c: 0, d: { e: null, f: [null, 1, { g: "" }] } } }],
    becomes: [{ properties: { c: 0, d: { f: [1, {}] } } }],
  },
  {
    script: "geolocation.js",
    given: [
      {
        event: "Order",
        properties: { $segment: kept() },
        geo: { country: "DE", city: "Berlin", latitude: 52.5, longitude: 13.4 },
      },
      // The place is that of what the client stated, and not that of its request.
      { event: "Order", properties: { a: 1, $ip: "198.51.100.9" }, geo: { country: "FR" } },
    ],
    becomes: [
      {
        properties: {
          country: "DE",
          $segment: kept({
            context: { geo: { ip: "203.0.113.7", city: "Berlin", country: "DE", location: "52.5,13.4" } },
          }),
        },
      },
      {},
    ],
    logs: ["geolocation knows only the addresses that events came from, and where the edge saw their clients"],
  },
  {
    script: "batch-dedupe.js",
    given: [
      { event: "Order", properties: { $segment: kept() } },
      { event: "Order", properties: { again: true, $segment: kept() } },
      { event: "$pageview", properties: { $segment: { type: "page", userId: "user-1", messageId: "m-2" } } },
      { event: "$pageview", properties: { $segment: { type: "page", userId: "user-1", messageId: "m-3" } } },
      { event: "Order", properties: { $segment: kept({ messageId: "m-4" }) } },
    ],
    becomes: [
      {},
      null,
      { properties: { $segment: { type: "page", userId: "user-1", messageId: "m-2" }, first: true } },
      null,
      {},
    ],
  },
  {
    script: "utm-params.js",
    given: [
      { properties: { $current_url: "https://x.example/?utm_source=mail&utm_campaign=may" } },
      { properties: { $current_url: "https://x.example/" } },
    ],
    becomes: [
      {
        properties: {
          $current_url: "https://x.example/?utm_source=mail&utm_campaign=may",
          utm_source: "mail",
          utm_campaign: "may",
        },
      },
      {},
    ],
  },
  {
    script: "user-agent-parser.js",
    given: [
      { event: "Order", properties: { $raw_user_agent: CHROME, $segment: kept({ context: { userAgent: CHROME } }) } },
      { event: "Order", properties: { $segment: kept() } },
    ],
    becomes: [
      {
        properties: {
          $raw_user_agent: CHROME,
          $segment: kept({
            context: { userAgent: CHROME, browser: "Chrome", os: { name: "Mac OS", version: "10.15.7" } },
          }),
          $os: "Mac OS",
          $os_version: "10.15.7",
        },
      },
      {},
    ],
  },
  {
    script: "split-order.js",
    given: [
      { event: "Order Completed", properties: { total: 3, products: [{ id: 1 }, { id: 2 }], $segment: kept() } },
      { event: "Other" },
    ],
    becomes: [
      [
        { properties: { total: 3, $segment: kept() } },
        {
          uuid: deriveUuid(anEvent().uuid, 0, 1),
          event: "Product Bought",
          properties: { $segment: kept({ messageId: "m-1-0" }), id: 1 },
        },
        {
          uuid: deriveUuid(anEvent().uuid, 0, 2),
          event: "Product Bought",
          properties: { $segment: kept({ messageId: "m-1-1" }), id: 2 },
        },
      ],
      {},
    ],
  },
  {
    script: "hash-identity.js",
    credentials: { SALT: "pepper" },
    given: [
      {
        event: "Order",
        properties: { $segment: kept({ anonymousId: "anon", context: { traits: { email: " A@b.c" } } }) },
      },
      { event: "Order", properties: {}, distinct_id: "user-2" },
    ],
    becomes: [
      {
        distinct_id: sha256("pepperuser-1"),
        properties: {
          $segment: kept({ userId: sha256("pepperuser-1"), context: { traits: { email: sha256("peppera@b.c") } } }),
        },
      },
      { distinct_id: sha256("pepperuser-2") },
    ],
  },
  {
    script: "replace-values.ts",
    modules: [
      {
        id: "countryNames",
        code: 'const names = { DE: "Germany" };\nexport const countryName = (code) => names[code] ?? code;',
        filename: "country-names.js",
      },
    ],
    given: [
      { event: "Order", properties: { country: "DE", note: "N/A" } },
      { event: "$identify", $set: { a: 1 } },
      { event: "Order", properties: { country: "FR" } },
    ],
    becomes: [{ properties: { country: "Germany" } }, null, {}],
  },
];

function expectedOf({ given, becomes }: Case): Event[] {
  return given.flatMap((event, i) => {
    const change = becomes[i];
    if (change === null) return [];
    return [change ?? {}].flat().map((each) => ({ ...anEvent(event), ...each }));
  });
}

function run({ script, given, ...spec }: Case, careful = false) {
  return runScripts(
    [{ ...spec, code: SCRIPTS[`./scripts/${script}`]!, filename: script }],
    given.map((e) => anEvent(e)),
    careful,
  );
}

describe("a script that does what a RudderStack transformation does", () => {
  it.each(CASES)("runs as it would there: $script", async (example) => {
    const { result, events } = await run(example);
    expect(result.errors).toEqual([]);
    expect(events).toEqual(expectedOf(example));
    expect((result.logs ?? []).map(({ text }) => text)).toEqual(example.logs ?? []);
  });

  it.each(CASES.filter(({ script }) => script !== "batch-dedupe.js"))(
    "does so one event at a time: $script",
    async (example) => {
      const { result, events } = await run(example, true);
      expect(result.errors).toEqual([]);
      expect(events).toEqual(expectedOf(example));
    },
  );
});

const order = (id: string) => anEvent({ event: "Order", properties: { $segment: kept({ messageId: id }) } });

describe("a RudderStack transformation", () => {
  it("may return events of a batch in another order, and new ones", async () => {
    const code = `export function transformBatch(events, metadata) {
  const [first, second] = events;
  const total = { type: "track", event: "Total", userId: "all", properties: { count: events.length } };
  return [{ ...second, event: "Second" }, total, first];
}`;
    const { result, events } = await runScripts([{ code }], [order("m-1"), order("m-2")]);
    expect(result).toMatchObject({ sources: [0, 1, 1], dropped: [], errors: [] });
    expect(events.map(({ event, distinct_id, properties }) => [event, distinct_id, properties])).toEqual([
      ["Order", "user-1", { $segment: kept() }],
      ["Second", "user-1", { $segment: kept({ messageId: "m-2" }) }],
      ["Total", "all", { count: 2 }],
    ]);
  });

  it.each([
    [
      "transformEvent returns no object",
      "export function transformEvent() { return 3 }",
      "returned something else than an event from transformEvent",
    ],
    [
      "transformBatch returns no array",
      "export function transformBatch(events, metadata) { return events[0] }",
      "transformBatch returned no array of events",
    ],
    [
      "no name is left",
      "export function transformEvent(event) { delete event.userId; return event }",
      'returned an event whose "distinct_id" is not a text',
    ],
    [
      "a credential is asked for at the top level",
      "const key = getCredential('KEY'); export function transformEvent(event) { return event }",
      "getCredential can be called inside of transformEvent and transformBatch only",
    ],
    [
      "it never resolves",
      "export async function transformEvent() { await new Promise(() => {}) }",
      "returned a promise that never resolves",
    ],
  ])("fails with a message where %s", async (_, code, message) => {
    const { result } = await runScripts([{ code }], [order("m-1")]);
    expect(result.errors).toHaveLength(1);
    expect(result.errors[0]?.message).toContain(message);
  });

  it("is told from Headwater's own transformBatch by what it does with its second parameter", async () => {
    const own = "export function transformBatch(events, ctx) { return events.map((e) => ({ ...e, event: ctx.team })) }";
    const theirs =
      "export const transformBatch = (events, info) => events.map((e) => ({ ...e, event: info(e).workspaceId + e.type }))";
    const { events } = await runScripts([{ code: own }, { code: theirs }], [order("m-1")]);
    expect(events[0]?.event).toBe("acmetrack");
  });
});
