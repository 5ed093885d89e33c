import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { TransientError, UnknownTokenError } from "../errors.ts";
import { aContext, runProtocolTests } from "./conformance.ts";
import { posthogV1 } from "./posthog-v1.ts";
import type { CaptureContext } from "./protocol.ts";

const ROUTE = "/i/v1/analytics/events";
const REQUEST_ID = "01890a5d-ac96-774b-bcce-b302099a8000";
const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";
const OTHER_UUID = "01890a5d-ac96-774b-bcce-b302099a8058";
const HEADERS = {
  authorization: "Bearer phc_acme",
  "content-type": "application/json",
  "user-agent": "posthog-node/5.70.0",
  "posthog-sdk-info": "posthog-node/5.70.0",
  "posthog-attempt": "1",
  "posthog-request-id": REQUEST_ID,
  "posthog-request-timestamp": "2026-08-01T12:00:00Z",
};
const anEvent = (overrides: Record<string, unknown> = {}) => ({
  event: "signup",
  uuid: UUID,
  distinct_id: "user-1",
  timestamp: "2026-08-01T11:00:00Z",
  ...overrides,
});
const aBatch = (batch: unknown, overrides: Record<string, unknown> = {}) => ({
  created_at: "2026-08-01T11:59:59.000Z",
  batch,
  ...overrides,
});

runProtocolTests({
  protocol: posthogV1,
  route: ROUTE,
  token: "phc_acme",
  headers: HEADERS,
  announcesGzip: "v1 goes by Content-Encoding alone",
  tooLargeStatus: 413,
  body: (events) => JSON.stringify(aBatch(events.map((event) => ({ ...anEvent(), ...event })))),
});

function aRequest(body: unknown, headers: Record<string, string | undefined> = {}) {
  const given = { ...HEADERS, ...headers };
  const present = Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const bytes = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return new Request(`http://capture.test${ROUTE}`, { method: "POST", body: bytes as BodyInit, headers: present });
}

/** As ingress would, with everything stored. */
async function answered(request: Request, overrides: Partial<CaptureContext> = {}) {
  const context = aContext({ route: ROUTE, ...overrides });
  try {
    const decoded = await posthogV1.decode(request, context);
    return { decoded, response: await posthogV1.success(decoded, request, context) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { decoded: null, response: posthogV1.failure(error, request, context) };
  }
}

async function only(event: Record<string, unknown>, headers?: Record<string, string | undefined>, batch = {}) {
  const { decoded } = await answered(aRequest(aBatch([event], batch), headers));
  expect(decoded?.events).toHaveLength(1);
  return { event: decoded!.events[0]! };
}

describe("a v1 batch", () => {
  it("becomes events, with what v1 keeps outside the properties put into them", async () => {
    const { event } = await only(
      anEvent({
        uuid: ` ${UUID.toUpperCase()} `,
        distinct_id: " user-1 ",
        session_id: "s1",
        window_id: "w1",
        options: { cookieless_mode: "0", process_person_profile: 1, product_tour_id: "tour", unknown: {} },
        properties: { plan: "pro", $lib: "mine", $session_id: "mine", $set: { a: 1 } },
        $set: { ignored: true },
      }),
      { "posthog-request-timestamp": "2026-08-01T12:00:10Z" },
      { historical_migration: true },
    );
    expect(event).toEqual({
      uuid: UUID,
      event: "signup",
      distinct_id: "user-1",
      timestamp: "2026-08-01T10:59:50.000Z",
      properties: {
        plan: "pro",
        $set: { a: 1 },
        $session_id: "s1",
        $window_id: "w1",
        $cookieless_mode: false,
        $process_person_profile: true,
        $product_tour_id: "tour",
        $lib: "posthog-node",
        $lib_version: "5.70.0",
      },
      ip: "203.0.113.7",
      received_at: "2026-08-01T12:00:00.000Z",
      sent_at: "2026-08-01T12:00:10.000Z",
      source: "posthog",
      historical: true,
    });
  });

  it("is answered for each event in its order, under the uuid as the client wrote it", async () => {
    const upper = OTHER_UUID.toUpperCase();
    const batch = aBatch([anEvent({ uuid: upper }), anEvent({ event: "" })]);
    const { decoded, response } = await answered(aRequest(batch));
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-type": "application/json",
      date: "Sat, 01 Aug 2026 12:00:00 GMT",
      "posthog-request-id": REQUEST_ID,
    });
    expect(await response.text()).toBe(
      `{"results":{"${upper}":{"result":"ok"},"${UUID}":{"result":"drop","details":"missing_event_name"}}}`,
    );
    expect(decoded?.events.map(({ uuid }) => uuid)).toEqual([OTHER_UUID]);
  });

  it.each<[string, Uint8Array]>([
    ["gzip", gzipSync(JSON.stringify(aBatch([anEvent()])))],
    ["deflate", deflateSync(JSON.stringify(aBatch([anEvent()])))],
    ["deflate", deflateRawSync(JSON.stringify(aBatch([anEvent()])))],
    ["br", brotliCompressSync(JSON.stringify(aBatch([anEvent()])))],
    ["ZSTD", zstdCompressSync(JSON.stringify(aBatch([anEvent()])))],
    ["identity", new TextEncoder().encode(JSON.stringify(aBatch([anEvent()])))],
  ])("is read from %s", async (encoding, bytes) => {
    const { response } = await answered(aRequest(bytes, { "content-encoding": encoding }));
    expect(await response.json()).toEqual({ results: { [UUID]: { result: "ok" } } });
  });

  it("has no client address where the pipeline made it itself", async () => {
    expect((await only(anEvent(), {}, { capture_internal: true })).event.ip).toBe("127.0.0.1");
  });

  it("keeps a __proto__ key as data", async () => {
    const text = JSON.stringify(aBatch([anEvent({ properties: { a: 1 } })])).replace('"a"', '"__proto__":{"b":2},"a"');
    const { decoded } = await answered(aRequest(text));
    expect(Object.keys(decoded!.events[0]!.properties)).toEqual(["__proto__", "a", "$lib", "$lib_version"]);
    expect(({} as Record<string, unknown>).b).toBeUndefined();
  });
});

describe("the instant of an event", () => {
  it.each([
    ["a clock that is ahead", "2026-08-01T12:00:10Z", "2026-08-01T11:00:00Z", {}, "2026-08-01T10:59:50.000Z"],
    ["a clock that is behind", "2026-08-01T11:59:50Z", "2026-08-01T11:00:00Z", {}, "2026-08-01T11:00:10.000Z"],
    ["a zone", "2026-08-01T12:00:00Z", "2026-08-01T11:00:00+02:00", {}, "2026-08-01T09:00:00.000Z"],
    ["the far future", "2026-08-01T12:00:00Z", "2026-08-05T11:00:00Z", {}, "2026-08-01T12:00:00.000Z"],
    [
      "a client that wants its clock believed, in the far future too",
      "2026-08-01T12:00:10Z",
      "2026-08-05T11:00:00Z",
      { disable_skew_correction: true },
      "2026-08-05T11:00:00.000Z",
    ],
  ])("follows %s", async (_what, sentAt, timestamp, options, expected) => {
    const { event } = await only(anEvent({ timestamp, options }), { "posthog-request-timestamp": sentAt });
    expect(event.timestamp).toBe(expected);
    expect(event.properties.$ignore_sent_at).toBe("disable_skew_correction" in options ? true : undefined);
  });
});

describe("options", () => {
  it.each<[unknown, unknown]>([
    [true, true],
    [false, false],
    [1, true],
    [0, false],
    [-2.5, true],
    ["true", true],
    [" TRUE ", true],
    ["1", true],
    ["false", false],
    ["0", false],
    [null, undefined],
  ])("takes %j as the flag %j", async (given, expected) => {
    const { event } = await only(anEvent({ options: { process_person_profile: given } }));
    expect(event.properties.$process_person_profile).toBe(expected);
  });
});

describe("the SDK's name", () => {
  it.each<[string, unknown, unknown]>([
    ["posthog-node/5.70.0", "posthog-node", "5.70.0"],
    ["posthog/node/5.70.0", "posthog/node", "5.70.0"],
    ["posthog-node", undefined, undefined],
    ["/5.70.0", undefined, undefined],
    ["posthog-node/", undefined, undefined],
    [`${"x".repeat(200)}/1`, undefined, undefined],
  ])("of %s is read, or the events go without", async (info, name, version) => {
    const { properties } = (await only(anEvent(), { "posthog-sdk-info": info })).event;
    expect([properties.$lib, properties.$lib_version]).toEqual([name, version]);
  });
});

describe("an illegal distinct_id", () => {
  it.each(
    "0 00000000-0000-0000-0000-000000000000 Anonymous anonymous-user backend distinct_id distinctId email FALSE guest id NaN None not_authenticated null system true undefined user"
      .split(" ")
      .concat("[object Object]"),
  )("%s is accepted with person processing off", async (distinctId) => {
    const { decoded, response } = await answered(
      aRequest(aBatch([anEvent({ distinct_id: distinctId, options: { process_person_profile: true } })])),
    );
    expect(await response.json()).toEqual({
      results: { [UUID]: { result: "warning", details: "person_processing_disabled" } },
    });
    expect(decoded?.events[0]).toMatchObject({
      distinct_id: distinctId,
      properties: { $process_person_profile: false },
    });
  });
});

describe("an event alone is dropped for", () => {
  it.each<[string, Record<string, unknown>]>([
    ["missing_event_name", { event: "" }],
    ["event_name_too_long", { event: "x".repeat(201) }],
    ["event_name_too_long", { event: "é".repeat(101) }],
    ["missing_distinct_id", { distinct_id: "" }],
    ["missing_distinct_id", { distinct_id: " \t" }],
    ["distinct_id_too_large", { distinct_id: "x".repeat(201) }],
    ["distinct_id_too_large", { distinct_id: "€".repeat(67) }],
    ["invalid_event_timestamp", { timestamp: "" }],
    ["invalid_event_timestamp", { timestamp: "yesterday" }],
    ["invalid_event_timestamp", { timestamp: "2026-08-01T11:00:00" }],
    ["invalid_event_timestamp", { timestamp: "2026-02-30T11:00:00Z" }],
    ["invalid_event_timestamp", { timestamp: "0000-01-01T00:00:00+01:00" }],
    ["malformed_event_properties", { properties: [] }],
    ["malformed_event_properties", { properties: null }],
    ["malformed_event_properties", { properties: "x" }],
    ["dropped_performance_event", { event: "$performance_event" }],
    ["invalid_options", { options: [] }],
    ["invalid_options", { options: "x" }],
    ["invalid_options", { options: { cookieless_mode: "maybe" } }],
    ["invalid_options", { options: { disable_skew_correction: {} } }],
    ["invalid_options", { options: { process_person_profile: [] } }],
    ["invalid_options", { options: { product_tour_id: 5 } }],
  ])("%s", async (reason, overrides) => {
    const batch = aBatch([anEvent(overrides), anEvent({ uuid: OTHER_UUID })]);
    const { decoded, response } = await answered(aRequest(batch));
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      results: { [UUID]: { result: "drop", details: reason }, [OTHER_UUID]: { result: "ok" } },
    });
    expect(decoded?.events).toHaveLength(1);
  });

  it("takes names and ids of exactly their limits", async () => {
    const { event } = await only(anEvent({ event: "é".repeat(100), distinct_id: "x".repeat(200) }));
    expect([event.event.length, event.distinct_id.length]).toEqual([100, 200]);
  });
});

describe("a batch that is refused whole", () => {
  const parsing = "request_parsing_error";
  it.each<[number, string, string, unknown, Record<string, string | undefined>?]>([
    [401, "missing_authorization", "no token", aBatch([anEvent()]), { authorization: undefined }],
    [401, "missing_authorization", "nothing at all", "", { authorization: undefined, "content-type": undefined }],
    [401, "invalid_api_token", "another scheme", aBatch([anEvent()]), { authorization: "Basic abc" }],
    [401, "invalid_api_token", "a scheme alone", aBatch([anEvent()]), { authorization: "Bearer" }],
    [401, "invalid_api_token", "a personal key", aBatch([anEvent()]), { authorization: "Bearer phx_secret" }],
    [400, "missing_required_headers", "no content type", aBatch([anEvent()]), { "content-type": "" }],
    [400, "missing_required_headers", "no attempt", aBatch([anEvent()]), { "posthog-attempt": undefined }],
    [400, "invalid_header_value", "attempt 0", aBatch([anEvent()]), { "posthog-attempt": "0" }],
    [400, "invalid_header_value", "attempt 2^32", aBatch([anEvent()]), { "posthog-attempt": "4294967296" }],
    [400, "invalid_header_value", "a bad request id", aBatch([anEvent()]), { "posthog-request-id": "1" }],
    [400, "invalid_header_value", "a bad timestamp", aBatch([anEvent()]), { "posthog-request-timestamp": "12:00" }],
    [415, "unsupported_content_type", "a form", aBatch([anEvent()]), { "content-type": "text/plain" }],
    [415, "unsupported_encoding", "another encoding", aBatch([anEvent()]), { "content-encoding": "compress" }],
    [415, "unsupported_encoding", "two encodings", aBatch([anEvent()]), { "content-encoding": "gzip, br" }],
    [400, "empty_body", "no body", ""],
    [400, "empty_batch", "no events", aBatch([])],
    [400, "invalid_batch", "a bad created_at", aBatch([anEvent()], { created_at: "today" })],
    [400, parsing, "no created_at", { batch: [anEvent()] }],
    [400, parsing, "no batch", { created_at: "2026-08-01T12:00:00Z" }],
    [400, parsing, "bad JSON", "{"],
    [400, parsing, "a list", [anEvent()]],
    [400, parsing, "an event that is none", aBatch([1])],
    [400, parsing, "an event without a name", aBatch([anEvent(), anEvent({ event: undefined })])],
    [400, parsing, "an event without a distinct_id", aBatch([anEvent({ distinct_id: undefined })])],
    [400, parsing, "an event without a uuid", aBatch([anEvent({ uuid: undefined })])],
    [400, parsing, "an event without a timestamp", aBatch([anEvent({ timestamp: undefined })])],
    [400, parsing, "a distinct_id that is no text", aBatch([anEvent({ distinct_id: 5 })])],
    [400, parsing, "a session that is no text", aBatch([anEvent({ session_id: 5 })])],
    [400, parsing, "a flag that is no boolean", aBatch([anEvent()], { historical_migration: "yes" })],
    [400, "missing_event_uuid", "an empty uuid", aBatch([anEvent({ uuid: " " })])],
    [400, "invalid_event_uuid", "a bad uuid", aBatch([anEvent({ uuid: "x" })])],
    [400, "duplicate_event_uuid", "a uuid twice", aBatch([anEvent(), anEvent({ uuid: UUID.toUpperCase() })])],
    [400, "request_decoding_error", "bad gzip", "{}", { "content-encoding": "gzip" }],
    [400, "request_decoding_error", "bad brotli", "{}", { "content-encoding": "br" }],
    [400, "request_decoding_error", "bad zstd", "{}", { "content-encoding": "zstd" }],
    [400, "request_decoding_error", "bad deflate", "{}", { "content-encoding": "deflate" }],
  ])("%i %s: %s", async (status, code, _what, body, headers) => {
    const { response } = await answered(aRequest(body, headers));
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("date")).toBe("Sat, 01 Aug 2026 12:00:00 GMT");
    expect(response.headers.get("retry-after")).toBeNull();
    const id = headers?.["posthog-request-id"] === undefined ? REQUEST_ID : null;
    expect(response.headers.get("posthog-request-id")).toBe(id);
    expect(await response.json()).toEqual({
      error: code,
      error_description: expect.stringMatching(/.{10}/),
      error_uri: `urn:headwater:error:${code}`,
    });
  });

  it("names all headers that are missing", async () => {
    const absent = Object.fromEntries(Object.keys(HEADERS).map((name) => [name, ""]));
    const { response } = await answered(aRequest(aBatch([anEvent()]), { ...absent, authorization: "Bearer phc_acme" }));
    expect(await response.json()).toMatchObject({
      error_description:
        "the request lacks these headers: Content-Type, User-Agent, PostHog-Sdk-Info, PostHog-Attempt, PostHog-Request-Id, PostHog-Request-Timestamp",
    });
  });

  it.each<[string, number, AppError, string | null]>([
    ["service_unavailable", 503, new TransientError("disk"), "1"],
    ["invalid_api_token", 401, new UnknownTokenError(), null],
    ["billing_limit_exceeded", 402, new AppError("billing_limit_exceeded", 402, "over the quota"), null],
    ["other", 500, new AppError("other", 500, "a bug"), "1"],
  ])("%s answers %i", async (code, status, error, retryAfter) => {
    const response = posthogV1.failure(error, aRequest(""), aContext());
    expect([response.status, response.headers.get("retry-after")]).toEqual([status, retryAfter]);
    expect(await response.json()).toMatchObject({ error: code });
  });
});

describe("an event that cannot be stored", () => {
  const limits = { ...DEFAULT_LIMITS, eventBytes: 1_000 };
  it("is dropped from what is left, and its fellows stay", async () => {
    const nested = JSON.parse(`${"[".repeat(300)}${"]".repeat(300)}`) as unknown;
    const third = "01890a5d-ac96-774b-bcce-b302099a8059";
    const batch = aBatch([
      anEvent({ properties: { text: "x".repeat(1_000) } }),
      anEvent({ uuid: OTHER_UUID, properties: { nested } }),
      anEvent({ uuid: third }),
    ]);
    const context = aContext({ route: ROUTE, limits });
    const rest = posthogV1.salvage!(await posthogV1.decode(aRequest(batch), context), context)!;
    expect(rest.events.map(({ uuid }) => uuid)).toEqual([third]);
    expect(await (await posthogV1.success(rest, aRequest(batch), context)).json()).toEqual({
      results: {
        [UUID]: { result: "drop", details: "event_too_big" },
        [OTHER_UUID]: { result: "drop", details: "serialization_failed" },
        [third]: { result: "ok" },
      },
    });
  });
});
