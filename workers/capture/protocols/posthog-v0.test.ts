import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { aContext, NOW_MS, runProtocolTests } from "./conformance.ts";
import { posthogV0 } from "./posthog-v0.ts";
import type { CaptureContext } from "./protocol.ts";

runProtocolTests({
  protocol: posthogV0,
  route: "/batch",
  token: "phc_acme",
  tooLargeStatus: 413,
  body: (events) => JSON.stringify({ api_key: "phc_acme", batch: events }),
});

const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";
const aRaw = (overrides: Record<string, unknown> = {}) => ({
  token: "phc_acme",
  event: "signup",
  distinct_id: "user-1",
  uuid: UUID,
  ...overrides,
});
const aBatch = (batch: unknown[], overrides: Record<string, unknown> = {}) => ({
  api_key: "phc_acme",
  batch,
  ...overrides,
});

function decode(body: unknown, context: Partial<CaptureContext> = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const request = new Request("http://capture.test/batch", { method: "POST", body: text });
  return posthogV0.decode(request, aContext(context));
}

async function only(body: unknown, context?: Partial<CaptureContext>) {
  const { events } = await decode(body, context);
  expect(events).toHaveLength(1);
  return events[0]!;
}

async function answer(body: unknown, context?: Partial<CaptureContext>) {
  const error: unknown = await decode(body, context).catch((thrown: unknown) => thrown);
  if (!(error instanceof AppError)) return "accepted";
  const response = posthogV0.failure(error, new Request("http://capture.test/batch"), aContext(context));
  return `${response.status} ${await response.text()}`;
}

describe("body shapes", () => {
  it.each([
    ["one event", aRaw()],
    ["a list", [aRaw()]],
    ["a batch", aBatch([aRaw({ token: undefined })])],
    ["a batch with `token`", { token: "phc_acme", batch: [aRaw({ token: undefined })] }],
    ["a batch without a token of its own", { batch: [aRaw()] }],
  ])("takes %s", async (_shape, body) => {
    const { token, events } = await decode(body);
    expect(token).toBe("phc_acme");
    expect(events).toEqual([
      {
        uuid: UUID,
        event: "signup",
        distinct_id: "user-1",
        timestamp: "2026-08-01T12:00:00.000Z",
        properties: {},
        ip: "203.0.113.7",
        received_at: "2026-08-01T12:00:00.000Z",
        source: "posthog",
      },
    ]);
  });

  it("carries $set, $set_once, properties, place and the historical flag, and leaves unknown keys behind", async () => {
    const raw = aRaw({
      properties: { plan: "pro" },
      $set: { a: 1 },
      $set_once: { b: 2 },
      type: "capture",
      library: "x",
    });
    const event = await only(aBatch([raw], { historical_migration: true, sent_at: "2026-08-01T12:00:00Z" }), {
      client: { ip: null, geo: undefined },
    });
    expect(event).toEqual({
      uuid: UUID,
      event: "signup",
      distinct_id: "user-1",
      timestamp: "2026-08-01T12:00:00.000Z",
      properties: { plan: "pro" },
      $set: { a: 1 },
      $set_once: { b: 2 },
      ip: null,
      received_at: "2026-08-01T12:00:00.000Z",
      sent_at: "2026-08-01T12:00:00.000Z",
      source: "posthog",
      historical: true,
    });
  });

  it("removes $performance_event, down to nothing", async () => {
    const performance = aRaw({ event: "$performance_event", distinct_id: undefined });
    expect((await decode(aBatch([performance, aRaw()]))).events.map((event) => event.event)).toEqual(["signup"]);
    expect((await decode(aBatch([performance]))).events).toEqual([]);
  });

  it("has no client address where the pipeline made the event itself", async () => {
    const event = await only(aRaw({ properties: { capture_internal: true } }));
    expect(event.ip).toBe("127.0.0.1");
  });

  it("puts a heatmap right behind the event that carried it", async () => {
    const pageview = aRaw({ properties: { $heatmap_data: { "/": [] }, plan: "pro" } });
    const { events } = await decode(aBatch([pageview, aRaw()]));
    expect(events.map(({ event }) => event)).toEqual(["signup", "$$heatmap", "signup"]);
    expect(events.slice(0, 2).map(({ properties }) => properties)).toEqual([
      { plan: "pro" },
      { $heatmap_data: { "/": [] } },
    ]);
  });

  it("names an event of /engage that has no name", async () => {
    const raw = { $token: "phc_acme", $distinct_id: "user-1", $set: { a: 1 } };
    expect(await only(raw, { route: "/engage" })).toMatchObject({ event: "$identify", $set: { a: 1 } });
    expect(await only(aRaw(), { route: "/engage" })).toMatchObject({ event: "signup" });
  });

  it("keeps a __proto__ key as data", async () => {
    const event = await only(
      `{"token":"phc_acme","event":"x","distinct_id":"u","properties":{"__proto__":{"token":"no"},"a":1}}`,
    );
    expect(Object.keys(event.properties)).toEqual(["__proto__", "a"]);
    expect(JSON.stringify(event.properties)).toBe('{"__proto__":{"token":"no"},"a":1}');
    expect(({} as Record<string, unknown>).token).toBeUndefined();
  });

  it("takes 100 levels of nesting", async () => {
    const nested = `${'{"a":['.repeat(50)}1${"]}".repeat(50)}`;
    const event = await only(`{"token":"t","event":"x","distinct_id":"u","properties":${nested}}`);
    expect(JSON.stringify(event.properties)).toBe(nested);
  });
});

describe("token", () => {
  it.each([
    ["token", { token: "phc_a" }],
    ["$token", { $token: "phc_a" }],
    ["api_key", { api_key: "phc_a" }],
    ["properties.token", { properties: { token: "phc_a" } }],
    ["surrounding whitespace", { token: " phc_a " }],
  ])("is read from %s", async (_where, keys) => {
    expect((await decode({ event: "x", distinct_id: "u", ...keys })).token).toBe("phc_a");
  });

  it("is the one that some events of a list have", async () => {
    expect((await decode([aRaw({ token: undefined }), aRaw(), aRaw({ token: undefined })])).token).toBe("phc_acme");
  });

  it("of a batch stands above those of its events", async () => {
    expect((await decode(aBatch([aRaw({ token: "phc_other" })]))).token).toBe("phc_acme");
  });
});

describe("distinct_id", () => {
  it.each<[string, Record<string, unknown>, string]>([
    ["$distinct_id", { distinct_id: undefined, $distinct_id: "b" }, "b"],
    ["properties, where the event has none", { distinct_id: undefined, properties: { distinct_id: "c" } }, "c"],
    ["properties, where the event has null", { distinct_id: null, properties: { distinct_id: "c" } }, "c"],
    ["the event before properties", { distinct_id: "a", properties: { distinct_id: "c" } }, "a"],
    ["an integer", { distinct_id: 23 }, "23"],
    ["a decimal", { distinct_id: 23.4 }, "23.4"],
    ["zero", { distinct_id: 0 }, "0"],
    ["a boolean", { distinct_id: false }, "false"],
    ["a list", { distinct_id: ["a", "b"] }, '["a","b"]'],
    ["an object, its keys sorted", { distinct_id: { b: 1, a: { d: 2, c: 3 } } }, '{"a":{"c":3,"d":2},"b":1}'],
    ["text with a NUL", { distinct_id: "a\0b" }, "a\ufffdb"],
    ["text with whitespace around it", { distinct_id: " a " }, " a "],
    ["200 characters", { distinct_id: "x".repeat(200) }, "x".repeat(200)],
    ["more than 200 characters", { distinct_id: "x".repeat(201) }, "x".repeat(200)],
    ["characters of two units each", { distinct_id: "😀".repeat(201) }, "😀".repeat(200)],
  ])("is read from %s", async (_what, keys, expected) => {
    expect((await only(aRaw(keys))).distinct_id).toBe(expected);
  });
});

describe("uuid", () => {
  it.each([
    ["upper case", UUID.toUpperCase(), UUID],
    ["no hyphens", UUID.replaceAll("-", ""), UUID],
  ])("is brought into one form from %s", async (_form, uuid, expected) => {
    expect((await only(aRaw({ uuid }))).uuid).toBe(expected);
  });

  it.each([[undefined], [null], [""]])("is made at acceptance where the client sends %j", async (uuid) => {
    const { events } = await decode([aRaw({ uuid }), aRaw({ uuid })]);
    const made = events.map((event) => event.uuid);
    expect(new Set(made).size).toBe(2);
    expect(made).toEqual([...made].sort());
    for (const one of made) expect(Number.parseInt(one.replaceAll("-", "").slice(0, 12), 16)).toBe(NOW_MS);
  });
});

describe("time", () => {
  const old = { timestamp: "2026-08-01T11:00:00Z" };
  it.each<[string, unknown, Partial<CaptureContext>, string]>([
    ["the batch's sent_at", aBatch([aRaw(old)], { sent_at: "2026-08-01T12:00:10Z" }), {}, "2026-08-01T10:59:50.000Z"],
    ["the query's sent_at", aRaw(old), { query: { sent_at: String(NOW_MS + 10_000) } }, "2026-08-01T10:59:50.000Z"],
    ["the query's _", [aRaw(old)], { query: { _: String(NOW_MS - 10_000) } }, "2026-08-01T11:00:10.000Z"],
    ["the first of two", aRaw(old), { query: { _: [String(NOW_MS - 10_000), "1"] } }, "2026-08-01T11:00:10.000Z"],
    [
      "the query where the batch's own cannot be read",
      aBatch([aRaw(old)], { sent_at: "soon" }),
      { query: { _: String(NOW_MS - 10_000) } },
      "2026-08-01T11:00:10.000Z",
    ],
    ["no query that is in seconds", aRaw(old), { query: { _: String(NOW_MS / 1000) } }, "2026-08-01T11:00:00.000Z"],
    ["no query that is no number", aRaw(old), { query: { _: "-1e400" } }, "2026-08-01T11:00:00.000Z"],
    ["no query beyond all years", aRaw(old), { query: { _: "999999999999999" } }, "2026-08-01T11:00:00.000Z"],
    [
      "nothing where the event wants it ignored",
      aBatch([aRaw({ ...old, properties: { $ignore_sent_at: true } })], { sent_at: "2026-08-01T12:00:10Z" }),
      {},
      "2026-08-01T11:00:00.000Z",
    ],
    ["an offset", [aRaw({ offset: 1500 })], {}, "2026-08-01T11:59:58.500Z"],
  ])("follows %s", async (_what, body, context, expected) => {
    expect((await only(body, context)).timestamp).toBe(expected);
  });
});

describe("half a surrogate pair", () => {
  it.each([
    [String.raw`\ud800`, "\ufffd"],
    [String.raw`\uDC00x`, "\ufffdx"],
    [String.raw`\ud83d\ude00`, "😀"],
    [String.raw`\ud83d\ud83d\ude00`, "\ufffd😀"],
    [String.raw`\\ud800`, String.raw`\ud800`],
    [String.raw`\\\ud800`, "\\\ufffd"],
    [String.raw`\n\ud800\"`, '\n\ufffd"'],
  ])("in %s comes out as U+FFFD", async (escaped, expected) => {
    const event = await only(`{"token":"t","event":"x","distinct_id":"u","properties":{"a":"${escaped}"}}`);
    expect(event.properties.a).toBe(expected);
  });
});

describe("answers", () => {
  const hydration = "400 failed to hydrate events from request: non-engage request missing event name attribute";
  const parse = (detail: string) => `400 failed to parse request: ${detail}`;
  it.each<[string, unknown, string]>([
    ["no body", "", "400 request missing data payload"],
    ["an empty list", [], "400 request holds no event"],
    ["an empty batch", aBatch([]), "400 request holds no event"],
    ["no event name", aRaw({ event: undefined }), hydration],
    ["a null event name", aRaw({ event: null }), hydration],
    ["an object of something else", { hello: "world" }, hydration],
    ["an empty event name", aRaw({ event: "" }), "400 event submitted with an empty event name"],
    ["no distinct_id", aRaw({ distinct_id: undefined }), "400 event submitted without a distinct_id"],
    ["a null distinct_id", aRaw({ distinct_id: null }), "400 event submitted without a distinct_id"],
    ["an empty distinct_id", aRaw({ distinct_id: "" }), "400 event submitted without a distinct_id"],
    ["a blank distinct_id", aRaw({ distinct_id: " \t" }), "400 event submitted without a distinct_id"],
    [
      "a cookieless mode that is no boolean",
      aRaw({ properties: { $cookieless_mode: "yes" } }),
      "400 event submitted with invalid cookieless mode",
    ],
    ["no token", aRaw({ token: undefined }), "401 event submitted without an api_key"],
    [
      "a token in properties that is no text",
      aRaw({ token: undefined, properties: { token: 1 } }),
      "401 event submitted without an api_key",
    ],
    ["two tokens", [aRaw(), aRaw({ token: "phc_other" })], "401 batch submitted with inconsistent api_key values"],
    ["an empty token", aRaw({ token: "" }), "401 API key is not valid: empty"],
    ["a long token", aRaw({ token: "x".repeat(65) }), "401 API key is not valid: too_long"],
    ["a token beyond ASCII", aRaw({ token: "phc_é" }), "401 API key is not valid: not_ascii"],
    ["a personal key", aRaw({ token: "phx_x" }), "401 API key is not valid: personal_api_key"],
    ["a token with a NUL", aRaw({ token: "a\0b" }), "401 API key is not valid: null_byte"],
    ["a bad uuid", aRaw({ uuid: "x" }), parse("events[0].uuid is not a UUID")],
    ["a bad uuid in a batch", aBatch([aRaw(), aRaw({ uuid: "x" })]), parse("batch[1].uuid is not a UUID")],
    ["a uuid that is no text", aRaw({ uuid: 1 }), parse("events[0].uuid must be a string")],
    ["a name that is no text", aRaw({ event: 1 }), parse("events[0].event must be a string")],
    ["a timestamp that is no text", aRaw({ timestamp: 1 }), parse("events[0].timestamp must be a string")],
    ["an offset that is no integer", aRaw({ offset: 1.5 }), parse("events[0].offset must be an integer")],
    ["properties that are a list", aRaw({ properties: [] }), parse("events[0].properties must be an object")],
    ["$set that is text", aRaw({ $set: "a" }), parse("events[0].$set must be an object")],
    ["$set_once that is a number", aRaw({ $set_once: 1 }), parse("events[0].$set_once must be an object")],
    ["a token that is no text", aRaw({ token: 1 }), parse("events[0].token must be a string")],
    ["a batch token that is no text", { api_key: 1, batch: [aRaw()] }, parse("batch.api_key must be a string")],
    ["an event that is null", aBatch([aRaw(), null]), parse("batch[1] must be an object")],
    ["an event that is a list", [[]], parse("events[0] must be an object")],
    [
      "a flag that is no boolean",
      aBatch([aRaw()], { historical_migration: "yes" }),
      parse("historical_migration must be a boolean"),
    ],
    ["a text", '"text"', parse("expected an event, a list of events or a batch")],
  ])("%s with its status and text", async (_what, body, expected) => {
    expect(await answer(body)).toBe(expected);
  });

  it("bad JSON with where it breaks", async () => {
    expect(await answer('{"event": }')).toMatch(/^400 failed to parse request: .*position 10|Unexpected token/);
  });

  it("nesting without end before it costs anything", async () => {
    expect(await answer("[".repeat(2_000_000))).toBe(parse("arrays and objects are nested more than 200 levels deep"));
  });

  it("a distinct_id deeper than the stack as the client's mistake", async () => {
    const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
    expect(await answer(`{"token":"t","event":"x","distinct_id":${deep}}`)).toBe(
      parse("arrays and objects are nested more than 200 levels deep"),
    );
  });

  it("success as JSON", async () => {
    const request = new Request("http://capture.test/batch");
    const response = await posthogV0.success({ token: "t", events: [] }, request, aContext());
    expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([
      200,
      "application/json",
      '{"status":"Ok"}',
    ]);
  });
});
