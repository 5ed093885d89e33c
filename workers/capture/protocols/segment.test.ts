import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { encodeEvents } from "../encode.ts";
import { aContext, runProtocolTests } from "./conformance.ts";
import type { CaptureContext } from "./protocol.ts";
import { segment } from "./segment.ts";
import { SDK_BODIES } from "./segment-bodies.ts";

const toMessage = ({ uuid, event, distinct_id }: { uuid?: string; event: string; distinct_id: string }) => ({
  type: "track",
  messageId: uuid,
  event,
  userId: distinct_id,
});

runProtocolTests({
  protocol: segment,
  route: "/v1/batch",
  token: "phc_acme",
  tooLargeStatus: 413,
  body: (events) => JSON.stringify({ writeKey: "phc_acme", batch: events.map(toMessage) }),
});

const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";
const aMessage = (overrides: Record<string, unknown> = {}) => ({
  writeKey: "phc_acme",
  messageId: UUID,
  userId: "user-1",
  event: "signup",
  ...overrides,
});

interface Sent {
  route?: string;
  headers?: Record<string, string>;
  context?: Partial<CaptureContext>;
}

function decode(body: unknown, { route = "/v1/track", headers = {}, context = {} }: Sent = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const request = new Request(`http://capture.test${route}`, { method: "POST", body: text, headers });
  return segment.decode(request, aContext({ route, ...context }));
}

async function only(body: unknown, sent?: Sent) {
  const { events } = await decode(body, sent);
  expect(events).toHaveLength(1);
  return events[0]!;
}

async function answer(body: unknown, sent: Sent = {}) {
  const error: unknown = await decode(body, sent).catch((thrown: unknown) => thrown);
  if (!(error instanceof AppError)) return "accepted";
  const response = segment.failure(error, new Request("http://capture.test/"), aContext());
  expect(response.headers.get("content-type")).toBe("application/json");
  return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
}

const LONG = ["track", "identify", "page", "screen", "group", "alias"];
const complete = aMessage({ groupId: "g", previousId: "old" });
const NAMES: Record<string, string> = {
  track: "signup",
  identify: "$identify",
  page: "$pageview",
  screen: "$screen",
  group: "$groupidentify",
  alias: "$create_alias",
};

describe("paths", () => {
  const singles = LONG.flatMap((type) =>
    [`/v1/${type}`, `/v1/${type.charAt(0)}`, `/api/s/${type}`, `/api/s/s2s/${type}`].map(
      (route) => [route, type] as const,
    ),
  );
  it.each(singles)("%s takes one message as %s", async (route, type) => {
    expect(segment.routes).toContainEqual({ method: "POST", path: route });
    expect((await only(complete, { route })).event).toBe(NAMES[type]);
  });

  it.each(["/v1/batch", "/v1/b", "/beacon/v1/batch"])("%s takes a batch of every type, in its order", async (route) => {
    expect(segment.routes).toContainEqual({ method: "POST", path: route });
    const batch = LONG.map((type) => ({ ...complete, type, messageId: undefined }));
    const { events } = await decode({ batch, writeKey: "phc_acme" }, { route });
    expect(events.map(({ event }) => event)).toEqual(LONG.map((type) => NAMES[type]));
  });

  it("serves nothing else", () => {
    expect(segment.routes).toHaveLength(27);
  });

  it("goes by the path and not by the type in the body of one message", async () => {
    expect((await only({ ...complete, type: "page" }, { route: "/v1/t" })).event).toBe("signup");
  });
});

describe("the write key", () => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  const bare = aMessage({ writeKey: undefined });
  it.each<[string, Sent, unknown]>([
    ["Basic with an empty password", { headers: { authorization: basic("phc_acme:") } }, bare],
    ["Basic with a password", { headers: { authorization: basic("phc_acme:x") } }, bare],
    ["Basic without a colon", { headers: { authorization: basic("phc_acme") } }, bare],
    ["Bearer", { headers: { authorization: "bearer phc_acme" } }, bare],
    ["X-Write-Key", { headers: { "x-write-key": "phc_acme" } }, bare],
    ["the query", { context: { query: { writeKey: "phc_acme" } } }, bare],
    ["the body", {}, aMessage()],
    [
      "a message of the batch",
      { route: "/v1/b" },
      {
        batch: [
          { ...bare, type: "track" },
          { ...complete, type: "page" },
        ],
      },
    ],
    [
      "the header, before the body",
      { headers: { authorization: basic("phc_acme:") } },
      aMessage({ writeKey: "phc_b" }),
    ],
    ["the body, where the header has an empty one", { headers: { authorization: basic(":") } }, aMessage()],
    ["the body, where the header is of another scheme", { headers: { authorization: "Digest x" } }, aMessage()],
    ["the body, where the header is no base64", { headers: { authorization: "Basic !!!" } }, aMessage()],
  ])("is read from %s", async (_where, sent, body) => {
    expect((await decode(body, sent)).token).toBe("phc_acme");
  });

  it("is the header's where the body has one with its secret left out, as Jitsu's do", async () => {
    const body = aMessage({ writeKey: "acme:***" });
    expect((await decode(body, { headers: { "x-write-key": "acme:secret" } })).token).toBe("acme:secret");
  });

  it("may hold a colon where the whole header is the key, as Jitsu's do", async () => {
    expect((await decode(bare, { headers: { "x-write-key": "key:secret" } })).token).toBe("key:secret");
  });

  it.each<[string, unknown, Sent, number, string]>([
    ["none", bare, {}, 401, "missing_token"],
    ["empty", aMessage({ writeKey: "" }), {}, 401, "missing_token"],
    ["blank", aMessage({ writeKey: " " }), {}, 401, "invalid_token"],
    ["a personal key", aMessage({ writeKey: "phx_secret" }), {}, 401, "invalid_token"],
    ["65 characters long", aMessage({ writeKey: "x".repeat(65) }), {}, 401, "invalid_token"],
    ["not ASCII", aMessage({ writeKey: "schlüssel" }), {}, 401, "invalid_token"],
    ["a number", aMessage({ writeKey: 1 }), {}, 400, "invalid_message"],
  ])("is refused where it is %s", async (_what, body, sent, status, code) => {
    expect(await answer(body, sent)).toMatchObject({ status, success: false, code });
  });
});

describe("errors", () => {
  const batchOf = (...messages: unknown[]) => ({ writeKey: "phc_acme", batch: messages });
  const good = { ...complete, type: "track" };
  it.each<[string, unknown, string, number, string, string | undefined]>([
    ["a list", [complete], "/v1/track", 400, "failed to parse request: expected an object", undefined],
    ["no user", aMessage({ userId: undefined }), "/v1/t", 400, "userId or anonymousId is required", "userId"],
    [
      "a blank user",
      aMessage({ userId: " ", anonymousId: "" }),
      "/v1/t",
      400,
      "userId or anonymousId is required",
      "userId",
    ],
    [
      "an alias of nobody",
      { ...complete, userId: null, anonymousId: "a" },
      "/v1/alias",
      400,
      "userId is required",
      "userId",
    ],
    ["an alias to nobody", aMessage(), "/v1/alias", 400, "previousId is required", "previousId"],
    ["a group without an id", aMessage(), "/v1/group", 400, "groupId is required", "groupId"],
    [
      "a group with an object for an id",
      aMessage({ groupId: {} }),
      "/v1/group",
      400,
      "groupId must be a string",
      "groupId",
    ],
    ["no event", aMessage({ event: undefined }), "/v1/track", 400, "event is required", "event"],
    ["an empty event", aMessage({ event: "" }), "/v1/track", 400, "event is required", "event"],
    ["an event that is a number", aMessage({ event: 7 }), "/v1/track", 400, "event must be a string", "event"],
    [
      "a message id that is a number",
      aMessage({ messageId: 7 }),
      "/v1/track",
      400,
      "messageId must be a string",
      "messageId",
    ],
    [
      "properties in a list",
      aMessage({ properties: [] }),
      "/v1/track",
      400,
      "properties must be an object",
      "properties",
    ],
    ["traits as text", aMessage({ traits: "x" }), "/v1/identify", 400, "traits must be an object", "traits"],
    ["a context as text", aMessage({ context: "x" }), "/v1/page", 400, "context must be an object", "context"],
    [
      "a timestamp in an object",
      aMessage({ timestamp: {} }),
      "/v1/page",
      400,
      "timestamp must be a string",
      "timestamp",
    ],
    ["no batch", { writeKey: "phc_acme" }, "/v1/batch", 400, "batch must be a list of messages", "batch"],
    ["an empty batch", batchOf(), "/v1/batch", 400, "request holds no event", undefined],
    ["a message that is none", batchOf(good, 1), "/v1/batch", 400, "batch[1] must be an object", "batch[1]"],
    [
      "a message without type",
      batchOf(good, complete),
      "/v1/b",
      400,
      "batch[1].type must be one of track, identify, page, screen, group, alias",
      "batch[1].type",
    ],
    [
      "a message of nobody",
      batchOf(good, good, { ...good, userId: null }),
      "/v1/b",
      400,
      "batch[2].userId or batch[2].anonymousId is required",
      "batch[2].userId",
    ],
    [
      "a batch whose context is text",
      { ...batchOf(good), context: "x" },
      "/v1/batch",
      400,
      "context must be an object",
      "context",
    ],
    [
      "2,501 messages",
      batchOf(...new Array(2_501).fill(good)),
      "/v1/batch",
      400,
      "batch holds 2501 messages of at most 2500: send smaller batches",
      "batch",
    ],
  ])("name what is wrong and where: %s", async (_what, body, route, status, message, field) => {
    const seen = await answer(body, { route });
    expect(seen).toMatchObject({ status, success: false, message });
    expect((seen as { field?: string }).field).toBe(field);
  });

  it("refuse more than 4 MiB, plain or compressed, with 413", async () => {
    const text = JSON.stringify(aMessage({ properties: { text: "x".repeat(4 * 1024 * 1024) } }));
    for (const body of [text, gzipSync(text)]) {
      const request = new Request("http://capture.test/v1/track", { method: "POST", body });
      await expect(segment.decode(request, aContext({ route: "/v1/track" }))).rejects.toMatchObject({ status: 413 });
    }
  });

  it("take 2,500 messages and an event of nearly 1 MB, which RudderStack's SDKs may send", async () => {
    const many = await decode(batchOf(...new Array(2_500).fill({ ...good, messageId: undefined })), { route: "/v1/b" });
    expect(many.events).toHaveLength(2_500);
    const large = await decode(aMessage({ properties: { text: "x".repeat(990_000) } }));
    expect(() => encodeEvents(large.events, DEFAULT_LIMITS)).not.toThrow();
  });
});

describe("fields", () => {
  it("makes of a track message an event with everything that was sent", async () => {
    const context = { library: { name: "analytics.js", version: "2" }, ip: "198.51.100.7", more: { deep: [1, null] } };
    const body = aMessage({
      anonymousId: "anon-1",
      properties: { plan: "pro", price: 1.5, title: "mine" },
      context,
      integrations: { All: true },
      timestamp: "2026-08-01T11:00:00.000Z",
      sentAt: "2026-08-01T12:00:10.000Z",
      unknown: { a: 1 },
    });
    expect(await only(body, { context: { client: { ip: "203.0.113.7", geo: undefined } } })).toEqual({
      uuid: UUID,
      event: "signup",
      distinct_id: "user-1",
      timestamp: "2026-08-01T10:59:50.000Z",
      properties: {
        plan: "pro",
        price: 1.5,
        title: "mine",
        $lib: "analytics.js",
        $lib_version: "2",
        $ip: "198.51.100.7",
        $segment: {
          messageId: UUID,
          userId: "user-1",
          anonymousId: "anon-1",
          context,
          integrations: { All: true },
          timestamp: "2026-08-01T11:00:00.000Z",
          sentAt: "2026-08-01T12:00:10.000Z",
          unknown: { a: 1 },
        },
      },
      ip: "203.0.113.7",
      received_at: "2026-08-01T12:00:00.000Z",
      sent_at: "2026-08-01T12:00:10.000Z",
      source: "segment",
    });
  });

  it("identifies with traits, from the message before those from the context, and joins the anonymous id", async () => {
    const body = aMessage({
      event: null,
      anonymousId: "anon-1",
      traits: { email: "a@example.com", plan: "pro" },
      context: { traits: { plan: "free", age: 3 } },
    });
    const event = await only(body, { route: "/v1/identify" });
    expect(event).toMatchObject({
      event: "$identify",
      distinct_id: "user-1",
      $set: { email: "a@example.com", plan: "pro", age: 3 },
      properties: { $anon_distinct_id: "anon-1" },
    });
    expect(event.properties.$segment).not.toHaveProperty("traits");
  });

  it("identifies an anonymous user under the anonymous id alone", async () => {
    const event = await only(aMessage({ userId: "", anonymousId: "anon-1" }), { route: "/v1/i" });
    expect(event).toMatchObject({ distinct_id: "anon-1", $set: {} });
    expect(event.properties).not.toHaveProperty("$anon_distinct_id");
  });

  it("describes a page by its properties, then by the context", async () => {
    const body = aMessage({
      name: "Home",
      category: "Docs",
      properties: { url: "https://shop.example:8443/a?b#c", path: "/a", title: "Shop" },
      context: { page: { url: "https://other.example/", referrer: "https://me@from.example/x", title: "no" } },
    });
    const { event, properties } = await only(body, { route: "/v1/page" });
    expect(event).toBe("$pageview");
    expect(properties).toMatchObject({
      name: "Home",
      category: "Docs",
      title: "Shop",
      $current_url: "https://shop.example:8443/a?b#c",
      $pathname: "/a",
      $host: "shop.example:8443",
      $referrer: "https://me@from.example/x",
      $referring_domain: "from.example",
    });
  });

  it("names a screen", async () => {
    const { event, properties } = await only(aMessage({ name: "Start" }), { route: "/v1/screen" });
    expect([event, properties.$screen_name, properties.name]).toEqual(["$screen", "Start", "Start"]);
  });

  it("describes a group, and marks later events that name it", async () => {
    const group = await only(aMessage({ groupId: 7, traits: { name: "Acme" } }), { route: "/v1/group" });
    const marked = { $groups: { segment_group: "7" } };
    const described = { $group_type: "segment_group", $group_key: "7", $group_set: { name: "Acme" } };
    expect(group).toMatchObject({ event: "$groupidentify", properties: { ...described, ...marked } });
    expect((await only(aMessage({ context: { groupId: 7 } }))).properties).toMatchObject(marked);
    expect((await only(aMessage({ context: { groupId: "" } }))).properties).not.toHaveProperty("$groups");
  });

  it("gives a user a further name", async () => {
    const event = await only(aMessage({ previousId: "old", anonymousId: "anon" }), { route: "/v1/alias" });
    expect(event).toMatchObject({ event: "$create_alias", distinct_id: "user-1", properties: { alias: "old" } });
  });

  it("knows what PostHog calls the values of a context", async () => {
    const context = {
      userAgent: "Mozilla/5.0",
      locale: "de-DE",
      timezone: "Europe/Berlin",
      campaign: { source: "a", medium: "b", name: "c", term: "d", content: "e" },
      os: { name: "iOS", version: "18" },
      device: { id: "d1", type: "ios", manufacturer: "Apple", model: "iPhone", name: "mine" },
      app: { name: "Shop", version: "1", build: "2", namespace: "com.example" },
      network: { carrier: "T", wifi: true, cellular: false },
      screen: { width: 100, height: 200, density: 2 },
      library: { name: "" },
      page: null,
    };
    const { properties } = await only(aMessage({ context }));
    expect(properties).toEqual({
      $raw_user_agent: "Mozilla/5.0",
      $locale: "de-DE",
      $timezone: "Europe/Berlin",
      utm_source: "a",
      utm_medium: "b",
      utm_campaign: "c",
      utm_term: "d",
      utm_content: "e",
      $os: "iOS",
      $os_version: "18",
      $device_id: "d1",
      $device_type: "ios",
      $device_manufacturer: "Apple",
      $device_model: "iPhone",
      $device_name: "mine",
      $app_name: "Shop",
      $app_version: "1",
      $app_build: "2",
      $app_namespace: "com.example",
      $network_carrier: "T",
      $network_wifi: true,
      $network_cellular: false,
      $screen_width: 100,
      $screen_height: 200,
      $segment: { messageId: UUID, userId: "user-1", context },
    });
  });

  it("puts the batch's context and integrations behind each message's own", async () => {
    const batch = [
      { ...complete, type: "page", context: { ip: "198.51.100.1" }, integrations: { All: false } },
      { ...complete, type: "page" },
    ];
    const body = {
      writeKey: "phc_acme",
      batch,
      context: { ip: "198.51.100.9", locale: "de" },
      integrations: { All: true },
    };
    const { events } = await decode(body, { route: "/v1/batch" });
    expect(events.map(({ properties }) => properties.$ip)).toEqual(["198.51.100.1", "198.51.100.9"]);
    expect(events.map(({ properties }) => properties.$segment)).toMatchObject([
      { context: { ip: "198.51.100.1", locale: "de" }, integrations: { All: false } },
      { context: { ip: "198.51.100.9", locale: "de" }, integrations: { All: true } },
    ]);
  });

  it.each<[string, unknown, string]>([
    ["a number", 23, "23"],
    ["a fraction", 23.4, "23.4"],
    ["zero", 0, "0"],
    ["an object, keys in order", { b: 1, a: 2 }, '{"a":2,"b":1}'],
    ["text with emoji", "🦊 ü", "🦊 ü"],
    ["201 characters", "🦊".repeat(201), "🦊".repeat(200)],
    ["a NUL", "a\0b", "a\ufffdb"],
    ["half of a surrogate pair", "a\ud800", "a\ufffd"],
  ])("takes %s for a user's id", async (_what, userId, distinctId) => {
    expect((await only(aMessage({ userId }))).distinct_id).toBe(distinctId);
  });

  it.each<[string, Record<string, unknown>, string]>([
    [
      "the client's clock, corrected",
      { timestamp: "2026-08-01T11:00:00Z", sentAt: "2026-08-01T11:59:50Z" },
      "2026-08-01T11:00:10.000Z",
    ],
    [
      "originalTimestamp where there is no other",
      { originalTimestamp: "2026-08-01T11:00:00Z", sentAt: "2026-08-01T12:00:10Z" },
      "2026-08-01T10:59:50.000Z",
    ],
    [
      "timestamp where there are both",
      { timestamp: "2020-01-01T00:00:00Z", originalTimestamp: "2026-08-01T12:00:00Z", sentAt: "2026-08-01T12:00:00Z" },
      "2020-01-01T00:00:00.000Z",
    ],
    ["an epoch", { timestamp: 1_577_836_800_000 }, "2020-01-01T00:00:00.000Z"],
    ["what it says without a sending time", { timestamp: "2026-08-01T11:00:00Z" }, "2026-08-01T11:00:00.000Z"],
    [
      "what it says where the sending time cannot be read",
      { timestamp: "2026-08-01T11:00:00Z", sentAt: "soon" },
      "2026-08-01T11:00:00.000Z",
    ],
    ["now, without any", {}, "2026-08-01T12:00:00.000Z"],
    ["now, where it cannot be read", { timestamp: "yesterday" }, "2026-08-01T12:00:00.000Z"],
    ["now, where it lies far in the future", { timestamp: "2027-08-01T11:00:00Z" }, "2026-08-01T12:00:00.000Z"],
  ])("takes for the time %s", async (_what, times, expected) => {
    expect((await only(aMessage(times))).timestamp).toBe(expected);
  });

  it.each<[string, unknown, string]>([
    ["a UUID", UUID.toUpperCase(), UUID],
    ["an id of analytics.js, as its UUIDv5", "ajs-next-1785585600000-01890a5d", "08cdfa69-f3d0-50fe-916c-1f1304539dd9"],
  ])("makes the uuid of %s, the same every time (invariant 7)", async (_what, messageId, uuid) => {
    const first = await only(aMessage({ messageId }));
    expect(first.uuid).toBe((await only(aMessage({ messageId }))).uuid);
    expect(first.uuid).toBe(uuid);
    expect(first.properties.$segment).toMatchObject({ messageId });
  });

  it("mints a uuid where there is no message id", async () => {
    const { events } = await decode(
      {
        writeKey: "k",
        batch: [
          { ...complete, type: "page", messageId: "" },
          { ...complete, type: "page", messageId: null },
        ],
      },
      { route: "/v1/batch" },
    );
    expect(new Set(events.map(({ uuid }) => uuid)).size).toBe(2);
  });

  it("keeps __proto__ keys as data", async () => {
    const text = `{"writeKey":"k","userId":"u","event":"x","__proto__":{"a":1},"properties":{"__proto__":{"b":1}},"context":{"__proto__":{"ip":"1.1.1.1"}}}`;
    const { properties } = await only(text);
    expect(JSON.stringify(properties)).toBe(
      '{"__proto__":{"b":1},"$segment":{"userId":"u","__proto__":{"a":1},"context":{"__proto__":{"ip":"1.1.1.1"}}}}',
    );
    const traits = await only(`{"writeKey":"k","userId":"u","traits":{"__proto__":{"b":1}}}`, {
      route: "/v1/identify",
    });
    expect(JSON.stringify(traits.$set)).toBe('{"__proto__":{"b":1}}');
  });
});

/** Raise it for a longer search: FUZZ_RUNS=100000. */
const FUZZ_RUNS = Number(process.env.FUZZ_RUNS ?? 3_000);

describe("bodies of real SDKs", () => {
  it.each(SDK_BODIES)("$sdk: $route is taken whole", async ({ route, body, events }) => {
    const decoded = await decode(body, { route, headers: { authorization: "Bearer phc_acme" } });
    expect(decoded.events.map(({ event, distinct_id }) => [event, distinct_id])).toEqual(events);
  });

  it("damaged in any way, are taken or are the client's mistake (invariant 6)", async () => {
    const bodies = fc.constantFrom(...SDK_BODIES);
    const odd = fc.constantFrom("null", "0", '""', "[]", "{}", '"\\ud800"', "1e400", '{"__proto__":1}', "true", '"x"');
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(bodies, fc.nat(), fc.nat(), odd, async ({ route, body }, at, kind, value) => {
        const text = mutate(JSON.stringify(body), at, kind, value);
        const sent = { route, headers: { authorization: "Bearer phc_acme" } };
        const outcome = await decode(text, sent).catch((error: unknown) => error);
        if (outcome instanceof AppError) {
          expect(outcome.status).toBeLessThan(500);
          return;
        }
        if (outcome instanceof Error) throw outcome;
        taken++;
        const { events } = outcome as Awaited<ReturnType<typeof decode>>;
        expect(events.length).toBeGreaterThan(0);
        for (const event of events) {
          expect(event.distinct_id.trim()).not.toBe("");
          expect(event.event).not.toBe("");
          expect(event.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        }
        encodeEvents(events, DEFAULT_LIMITS);
      }),
      { numRuns: FUZZ_RUNS },
    );
    expect(taken).toBeGreaterThan(FUZZ_RUNS / 50);
  });
});

/** Puts the odd value in place of another value, or cuts, doubles or overwrites some of the text. */
function mutate(text: string, at: number, kind: number, value: string): string {
  const from = at % text.length;
  switch (kind % 5) {
    case 0:
    case 1: {
      const values = [...text.matchAll(/:("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null|\{\}|\[\])/g)];
      const chosen = values[at % values.length]!;
      return `${text.slice(0, chosen.index)}:${value}${text.slice(chosen.index + chosen[0].length)}`;
    }
    case 2:
      return text.slice(0, from);
    case 3:
      return text.slice(0, from) + text.slice(from + 1);
    default:
      return text.slice(0, from) + value + text.slice(from);
  }
}
