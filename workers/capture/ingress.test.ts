import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RestrictionConfig } from "../../shared/config-sources.ts";
import { AppError } from "../../shared/errors.ts";
import type { Event } from "../../shared/event.ts";
import type { Refused } from "../../shared/lane-api.ts";
import type { SourceSnapshot } from "../../shared/snapshot.ts";
import type { IngressRecord, Target } from "./accept.ts";
import { formatAddress } from "./address.ts";
import { DEFAULT_LIMITS } from "./decode/limits.ts";
import { encodeEvents } from "./encode.ts";
import type { GeoLookup } from "./geoip/event-place.ts";
import { createIngress, type IngressDeps } from "./ingress.ts";

/** Raise it for a longer search: FUZZ_RUNS=100000. */
const FUZZ_RUNS = Number(process.env.FUZZ_RUNS ?? 5_000);
const NOW_MS = Date.UTC(2026, 7, 1, 12);

function makeIngress(overrides: Partial<IngressDeps> = {}) {
  const appended: { target: Target; events: Event[] }[] = [];
  const refused: { target: Target; counts: Refused }[] = [];
  const records: IngressRecord[] = [];
  const calls: string[] = [];
  const ingress = createIngress({
    resolve: async (token) => {
      calls.push(`resolve ${token}`);
      return token.startsWith("phc_") ? { team: "acme", lanes: 2 } : null;
    },
    append: async (target, events, limits) => {
      encodeEvents(events, limits);
      calls.push(`append ${events.length}`);
      appended.push({ target, events });
    },
    refused: (target, counts) => void refused.push({ target, counts }),
    clock: { now: () => NOW_MS },
    fillRandom: (bytes) => void bytes.fill(5),
    timer: () => ({ done: new Promise(() => {}), cancel: () => {} }),
    log: (record) => void records.push(record),
    client: (request) => ({ ip: request.headers.get("x-client"), geo: undefined }),
    ...overrides,
  });
  return { ingress, appended, refused, records, calls };
}

const anEventBody = (overrides: Record<string, unknown> = {}) =>
  JSON.stringify({ token: "phc_acme", event: "signup", distinct_id: "user-1", ...overrides });

function post(path: string, body: BodyInit = anEventBody(), headers: Record<string, string> = {}) {
  return new Request(`http://capture.test${path}`, { method: "POST", body, headers });
}

async function seen(response: Response) {
  return { status: response.status, body: await response.text() };
}

describe("routes", () => {
  const v0Paths = ["/batch", "/e", "/i/v0/e", "/capture", "/track", "/engage"];
  const paths = [...v0Paths, "/i/v0/ai/batch"];
  it.each(paths.flatMap((path) => [path, `${path}/`]))("POST %s takes events", async (path) => {
    const { ingress, appended } = makeIngress();
    const response = await ingress.fetch(post(path));
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await seen(response)).toEqual({ status: 200, body: '{"status":"Ok"}' });
    expect(appended).toHaveLength(1);
  });

  it.each(v0Paths.flatMap((path) => [path, `${path}/`]))("GET and HEAD %s take events from the query", async (path) => {
    const url = `http://capture.test${path}?data=${encodeURIComponent(anEventBody())}`;
    for (const method of ["GET", "HEAD"]) {
      const { ingress, appended } = makeIngress();
      const response = await ingress.fetch(new Request(url, { method }));
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(await seen(response)).toEqual({ status: 200, body: method === "GET" ? '{"status":"Ok"}' : "" });
      expect(appended).toHaveLength(1);
    }
  });

  it.each([
    ["GET", "request missing data payload"],
    ["HEAD", ""],
  ])("%s without data answers 400", async (method, body) => {
    for (const path of [...v0Paths, "/s"]) {
      const { ingress, calls } = makeIngress();
      const response = await ingress.fetch(new Request(`http://capture.test${path}/`, { method }));
      expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
      expect(await seen(response)).toEqual({ status: 400, body });
      expect(calls).toEqual([]);
    }
  });

  it.each([
    ["1", 204, ""],
    ["2", 200, '{"status":"Ok"}'],
    ["true", 200, '{"status":"Ok"}'],
    ["", 200, '{"status":"Ok"}'],
  ])("beacon=%s answers %i", async (beacon, status, body) => {
    const { ingress, appended } = makeIngress();
    expect(await seen(await ingress.fetch(post(`/e/?beacon=${beacon}`)))).toEqual({ status, body });
    expect(appended).toHaveLength(1);
  });

  it("a beacon's error says what is wrong like any other", async () => {
    expect(await seen(await makeIngress().ingress.fetch(post("/e/?beacon=1", "[]")))).toEqual({
      status: 400,
      body: "request holds no event",
    });
  });

  it.each(["/s", "/s/"])("POST %s takes a recording", async (path) => {
    const { ingress, appended } = makeIngress();
    const properties = { $session_id: "s-1", $snapshot_data: [{ type: 4 }] };
    const body = anEventBody({ event: "$snapshot", properties });
    expect(await seen(await ingress.fetch(post(path, body)))).toEqual({ status: 200, body: '{"status":"Ok"}' });
    expect(appended[0]?.events).toMatchObject([{ event: "$snapshot_items" }]);
  });

  it.each(["/", "/_liveness", "/_readiness", "/_liveness/"])("GET and HEAD %s answer 200", async (path) => {
    const { ingress } = makeIngress();
    const url = `http://capture.test${path}`;
    expect(await seen(await ingress.fetch(new Request(url)))).toEqual({ status: 200, body: "capture" });
    const head = await ingress.fetch(new Request(url, { method: "HEAD" }));
    expect([head.status, head.body]).toEqual([200, null]);
  });

  it.each([
    ["PUT", "/e", "POST, GET, HEAD, OPTIONS"],
    ["PURGE", "/i/v0/e/", "POST, GET, HEAD, OPTIONS"],
    ["GET", "/i/v0/ai/batch/", "POST, OPTIONS"],
    ["GET", "/i/v1/analytics/events", "POST, OPTIONS"],
    ["POST", "/", "GET, HEAD, OPTIONS"],
  ])("%s %s answers 405 with what is allowed", async (method, path, allow) => {
    const response = await makeIngress().ingress.fetch(new Request(`http://capture.test${path}`, { method }));
    expect(response.headers.get("allow")).toBe(allow);
    expect(await seen(response)).toEqual({ status: 405, body: `this path takes ${allow}` });
  });

  it.each(["/nowhere", "/batch/x", "/x/batch", "/i/v0", "/BATCH", "/%2e%2e/e%00"])(
    "%s answers 404 with where events go",
    async (path) => {
      const { status, body } = await seen(await makeIngress().ingress.fetch(post(path)));
      expect(status).toBe(404);
      expect(body).toContain("POST /batch");
    },
  );
});

describe("CORS", () => {
  const origin = { origin: "https://shop.example" };
  it.each([
    ["/batch/", "POST, GET, OPTIONS"],
    ["/s", "POST, GET, OPTIONS"],
    ["/i/v1/analytics/events", "POST, OPTIONS"],
    ["/nowhere", "GET, POST, OPTIONS"],
  ])("answers a preflight of %s with what the path takes", async (path, methods) => {
    const headers = { ...origin, "access-control-request-headers": "x-a, content-type" };
    const request = new Request(`http://capture.test${path}`, { method: "OPTIONS", headers });
    const response = await makeIngress().ingress.fetch(request);
    expect(Object.fromEntries(response.headers)).toEqual({
      "access-control-allow-origin": "https://shop.example",
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "retry-after",
      "access-control-allow-methods": methods,
      "access-control-allow-headers": "x-a, content-type",
      vary: "origin",
    });
    expect(await seen(response)).toEqual({ status: 200, body: "" });
  });

  it.each([
    [200, "/batch/", anEventBody()],
    [400, "/batch/", "{"],
    [401, "/batch/", anEventBody({ token: "other" })],
    [404, "/nowhere", "{}"],
    [405, "/", "{}"],
    [401, "/i/v1/analytics/events", "{}"],
  ])("lets the browser read an answer of %i", async (status, path, body) => {
    const response = await makeIngress().ingress.fetch(post(path, body, origin));
    expect(response.status).toBe(status);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    expect(response.headers.get("access-control-allow-credentials")).toBe("true");
  });

  it("adds nothing for a caller that is no browser", async () => {
    const response = await makeIngress().ingress.fetch(post("/e"));
    expect(Object.fromEntries(response.headers)).toEqual({ "content-type": "application/json" });
  });
});

describe("the way of a request", () => {
  it("resolves the token, then appends, then answers", async () => {
    const { ingress, appended, calls } = makeIngress();
    await ingress.fetch(post("/e", anEventBody(), { "x-client": "198.51.100.1" }));
    expect(calls).toEqual(["resolve phc_acme", "append 1"]);
    expect(appended[0]?.target).toEqual({ team: "acme", lanes: 2, token: "phc_acme", region: "local" });
    expect(appended[0]?.events[0]).toMatchObject({ event: "signup", ip: "198.51.100.1" });
  });

  it("answers only once the events are durable (invariant 1)", async () => {
    let commit = () => {};
    const { ingress } = makeIngress({ append: () => new Promise((resolve) => (commit = resolve)) });
    let answered = false;
    const answer = ingress.fetch(post("/e")).finally(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answered).toBe(false);
    commit();
    expect((await answer).status).toBe(200);
  });

  it("answers a request that holds only events which are dropped without asking anybody", async () => {
    const { ingress, calls } = makeIngress();
    expect((await ingress.fetch(post("/e", anEventBody({ event: "$performance_event" })))).status).toBe(200);
    expect(calls).toEqual([]);
  });

  it("reads the query", async () => {
    const { ingress, appended } = makeIngress();
    const body = anEventBody({ timestamp: "2026-08-01T11:00:00Z" });
    const path = `/e/?compression=gzip-js&_=${NOW_MS + 10_000}&_=1&__proto__=x&ver=1`;
    expect((await ingress.fetch(post(path, gzipSync(body)))).status).toBe(200);
    expect(appended[0]?.events[0]?.timestamp).toBe("2026-08-01T10:59:50.000Z");
  });

  it("says that a token is unknown and where to look", async () => {
    const { ingress, calls } = makeIngress();
    const answer = await seen(await ingress.fetch(post("/e", anEventBody({ token: "other" }))));
    expect(answer).toEqual({
      status: 401,
      body: "API key is not valid: unknown (no team has this api_key; compare it with the tokens in headwater.json or in the console)",
    });
    expect(calls).toEqual(["resolve other"]);
  });

  it("accepts events unresolved where configuration cannot be read, and says so in the log", async () => {
    const { ingress, appended, records } = makeIngress({ resolve: () => Promise.reject(new Error("KV is down")) });
    expect((await ingress.fetch(post("/e"))).status).toBe(200);
    expect(appended[0]?.target).toEqual({ team: null, lanes: 1, token: "phc_acme", region: "local" });
    expect(records).toEqual([
      { level: "warn", event: "resolve_failed", protocol: "posthog", team: null, events: 1, error: "KV is down" },
    ]);
  });

  it.each<[string, unknown, number, string, string]>([
    [
      "a full lane",
      new AppError("lane_full", 503, "the lane is full", { retryAfterS: 5 }),
      503,
      "the lane is full",
      "5",
    ],
    ["a full disk", new Error("SQLITE_FULL"), 503, "transient error, please retry", "1"],
    ["something that is no error", "boom", 503, "transient error, please retry", "1"],
  ])("never answers success for %s (invariant 1)", async (_what, thrown, status, text, retryAfter) => {
    const { ingress, records } = makeIngress({ append: () => Promise.reject(thrown) });
    const response = await ingress.fetch(post("/e"));
    expect(response.headers.get("retry-after")).toBe(retryAfter);
    expect(await seen(response)).toEqual({ status, body: text });
    expect(records).toMatchObject([{ level: "error", event: "append_failed", team: "acme", events: 1 }]);
  });

  it("answers an event over 1 MB with 413", async () => {
    const { ingress, records } = makeIngress();
    const { status, body } = await seen(
      await ingress.fetch(post("/e", anEventBody({ properties: { text: "x".repeat(1_000_000) } }))),
    );
    expect(status).toBe(413);
    expect(body).toMatch(/^maximum event size exceeded: event [\da-f-]{36} takes \d+ bytes of at most 1000000$/);
    expect(records).toEqual([]);
  });

  it("answers an event nested too deep with 400", async () => {
    const nested = `${"[".repeat(300)}${"]".repeat(300)}`;
    const body = `{"token":"phc_acme","event":"x","distinct_id":"u","properties":{"a":${nested}}}`;
    expect(await seen(await makeIngress().ingress.fetch(post("/e", body)))).toEqual({
      status: 400,
      body: "failed to parse request: arrays and objects are nested more than 200 levels deep",
    });
  });

  it("cuts an upload that stalls, and gives the timer back where it does not", async () => {
    const timers: { ms: number; fire: () => void; cancelled: boolean }[] = [];
    const timer = (ms: number) => {
      const { promise: done, resolve: fire } = Promise.withResolvers<void>();
      const state = { ms, fire, cancelled: false };
      timers.push(state);
      const cancel = () => {
        state.cancelled = true;
      };
      return { done, cancel };
    };
    const { ingress, calls } = makeIngress({ timer, limits: { ...DEFAULT_LIMITS, uploadMs: 1_234 } });
    const body = new ReadableStream({
      type: "bytes",
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"token":')),
    });
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const answer = ingress.fetch(new Request("http://capture.test/e", init));
    expect(timers).toMatchObject([{ ms: 1_234, cancelled: false }]);
    timers[0]?.fire();
    const response = await answer;
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await seen(response)).toEqual({ status: 408, body: "client stopped sending data" });
    expect(calls).toEqual([]);
    expect((await ingress.fetch(post("/e"))).status).toBe(200);
    expect(timers.map(({ cancelled }) => cancelled)).toEqual([true, true]);
  });

  it("stores what is left where the protocol can do without an event that is too large", async () => {
    const { ingress, appended, calls } = makeIngress();
    const uuids = ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"];
    const batch = uuids.map((uuid, n) => ({
      ...{ uuid, event: "x", distinct_id: "u", timestamp: "2026-08-01T11:00:00Z" },
      properties: n === 0 ? { text: "x".repeat(1_000_000) } : {},
    }));
    const body = JSON.stringify({ created_at: "2026-08-01T12:00:00Z", batch });
    const headers = {
      authorization: "bearer phc_acme",
      "content-type": "application/json; charset=utf-8",
      "user-agent": "x",
      "posthog-sdk-info": "x/1",
      "posthog-attempt": "2",
      "posthog-request-id": uuids[0] as string,
      "posthog-request-timestamp": "2026-08-01T12:00:00Z",
    };
    const answer = await seen(await ingress.fetch(post("/i/v1/analytics/events", body, headers)));
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      results: {
        [uuids[0] as string]: { result: "drop", details: "event_too_big" },
        [uuids[1] as string]: { result: "ok" },
      },
    });
    expect(appended.map(({ events }) => events.map(({ uuid }) => uuid))).toEqual([[uuids[1]]]);
    expect(calls).toEqual(["resolve phc_acme", "append 1"]);
  });

  it("survives a client that breaks off its upload", async () => {
    const body = new ReadableStream({
      type: "bytes",
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('{"token":'));
        controller.error(new Error("connection reset"));
      },
    });
    const { ingress, calls } = makeIngress();
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    expect((await ingress.fetch(new Request("http://capture.test/e", init))).status).toBe(400);
    expect(calls).toEqual([]);
    expect((await ingress.fetch(post("/e"))).status).toBe(200);
  });
});

describe("sources and restrictions", () => {
  const SOURCE: SourceSnapshot = { id: "web", protocol: "any", tokens: ["phc_web"], enabled: true, ip: "keep" };
  const UUIDS = ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"] as const;
  const withRules = (source: Partial<SourceSnapshot>, restrictions?: RestrictionConfig[]) => {
    const resolution = { team: "acme", lanes: 2, source: { ...SOURCE, ...source } };
    return makeIngress({
      resolve: async () => (restrictions === undefined ? resolution : { ...resolution, restrictions }),
    });
  };
  const segmentBody = JSON.stringify({ type: "track", event: "x", userId: "u", writeKey: "phc_web" });
  const v1Headers = {
    authorization: "bearer phc_web",
    "content-type": "application/json",
    "user-agent": "x",
    "posthog-sdk-info": "x/1",
    "posthog-attempt": "1",
    "posthog-request-id": UUIDS[0],
    "posthog-request-timestamp": "2026-08-01T12:00:00Z",
  };
  const v1Body = (first: Record<string, unknown> = {}) => {
    const batch = UUIDS.map((uuid, n) => ({
      ...{ uuid, event: "x", distinct_id: "u", timestamp: "2026-08-01T11:00:00Z" },
      ...(n === 0 ? first : {}),
    }));
    return JSON.stringify({ created_at: "2026-08-01T12:00:00Z", batch });
  };
  const pixelRequest = () => new Request("http://capture.test/p/phc_web.gif?event=x&distinct_id=u");

  it.each<[string, SourceSnapshot["protocol"], () => Request, (response: Response) => unknown, unknown]>([
    [
      "posthog",
      "segment",
      () => post("/e"),
      (response) => response.text(),
      "the source web of this token takes requests of Segment's Tracking API only",
    ],
    [
      "posthog-v1",
      "pixel",
      () => post("/i/v1/analytics/events", v1Body(), v1Headers),
      (response) => response.json(),
      expect.objectContaining({
        error: "wrong_protocol",
        error_description: "the source web of this token takes pixels only: GET /p/{token}.gif",
      }),
    ],
    [
      "segment",
      "posthog",
      () => post("/v1/track", segmentBody),
      (response) => response.json(),
      {
        success: false,
        code: "wrong_protocol",
        message: "the source web of this token takes requests of PostHog's SDKs only",
      },
    ],
    [
      "pixel",
      "webhook",
      pixelRequest,
      (response) => response.headers.get("x-error"),
      "the source web of this token takes incoming webhooks only: POST /w/{token}",
    ],
  ])("a request of %s to a source for %s is refused in its own form", async (_kind, protocol, request, words, text) => {
    const { ingress, calls } = withRules({ protocol });
    const response = await ingress.fetch(request());
    expect(response.status).toBe(403);
    expect(await words(response)).toEqual(text);
    expect(calls).toEqual([]);
  });

  it("a page that is not among the origins is refused by an answer that it cannot read", async () => {
    const { ingress, calls, refused } = withRules({ origins: ["https://shop.example"] });
    const ask = (origin: string) => ingress.fetch(post("/e", anEventBody(), { origin }));
    const response = await ask("https://evil.example");
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
    expect(await seen(response)).toEqual({
      status: 403,
      body: "the source web takes nothing from this origin; allow it in its origins",
    });
    expect([calls, refused]).toEqual([[], []]);
    const allowed = await ask("https://shop.example");
    expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([200, "https://shop.example"]);
    expect((await ingress.fetch(post("/e"))).status).toBe(200);
  });

  it.each([
    ["posthog", () => post("/e"), 200],
    ["segment", () => post("/v1/track", segmentBody), 200],
    ["pixel", pixelRequest, 200],
  ])(
    "a source that is off answers %s as if all went well, stores nothing and counts it",
    async (_kind, ask, status) => {
      const { ingress, calls, refused } = withRules({ enabled: false });
      expect((await ingress.fetch(ask())).status).toBe(status);
      expect(calls).toEqual([]);
      expect(refused).toEqual([
        {
          target: { team: "acme", lanes: 2, token: expect.any(String), region: "local" },
          counts: { web: { source_disabled: 1 } },
        },
      ]);
    },
  );

  it("v1 says of each event what became of it", async () => {
    const { ingress, appended, refused } = withRules({ events: { deny: ["noise"] } });
    const body = v1Body({ event: "noise" });
    const answer = await seen(await ingress.fetch(post("/i/v1/analytics/events", body, v1Headers)));
    expect(JSON.parse(answer.body)).toEqual({
      results: {
        [UUIDS[0]]: { result: "drop", details: "event_restriction_drop" },
        [UUIDS[1]]: { result: "ok" },
      },
    });
    expect(appended.map(({ events }) => events.map(({ uuid, source }) => [uuid, source]))).toEqual([
      [[UUIDS[1], "web"]],
    ]);
    expect(refused.map(({ counts }) => counts)).toEqual([{ web: { event_not_allowed: 1 } }]);
  });

  describe("the place of an event", () => {
    const PARIS = { country: "FR", city: "Paris", latitude: 48.9, longitude: 2.4, timezone: "Europe/Paris" };
    const { city: _city, latitude: _latitude, longitude: _longitude, ...COARSE } = PARIS;

    function makePlacing(overrides: Partial<IngressDeps>) {
      const looked: string[] = [];
      const lookup: GeoLookup = (address) => {
        looked.push(formatAddress(address));
        return looked.at(-1) === "203.0.113.7" ? PARIS : undefined;
      };
      return { looked, ...makeIngress({ places: async () => lookup, ...overrides }) };
    }
    const from = (client: string, overrides: Record<string, unknown> = {}) =>
      post("/e", anEventBody(overrides), { "x-client": client });
    const segment = (client: string, context: object) => {
      const body = { writeKey: "phc_acme", event: "signup", userId: "user-1", context };
      return post("/v1/track", JSON.stringify(body), { "x-client": client, "content-type": "application/json" });
    };

    it.each<[string, Request, Partial<SourceSnapshot>, unknown]>([
      ["is its client's", from("203.0.113.7"), {}, [PARIS, "203.0.113.7"]],
      ["is unknown where nobody knows it", from("192.0.2.1"), {}, [undefined, "192.0.2.1"]],
      ["is that of $ip", from("192.0.2.1", { properties: { $ip: "203.0.113.7" } }), {}, [PARIS, "192.0.2.1"]],
      ["is that of a Segment context's ip", segment("192.0.2.1", { ip: "203.0.113.7" }), {}, [PARIS, "192.0.2.1"]],
      ["is the whole address's where the source masks it", from("203.0.113.7"), { ip: "mask" }, [PARIS, "203.0.113.0"]],
      ["is coarse where the source drops the address", from("203.0.113.7"), { ip: "drop" }, [COARSE, null]],
      [
        "is that of $ip where the source drops addresses",
        from("192.0.2.1", { properties: { $ip: "203.0.113.7" } }),
        { ip: "drop" },
        [COARSE, null],
      ],
    ])("%s", async (_what, request, source, seenEvent) => {
      const { ingress, appended } = makePlacing({
        resolve: async () => ({ team: "acme", lanes: 1, source: { ...SOURCE, ...source } }),
      });
      expect((await ingress.fetch(request)).status).toBe(200);
      expect(appended[0]!.events.map(({ geo, ip }) => [geo, ip])).toEqual([seenEvent]);
    });

    it("is known also while configuration cannot be read", async () => {
      const { ingress, appended } = makePlacing({
        resolve: async () => {
          throw new Error("D1 is away");
        },
      });
      await ingress.fetch(from("203.0.113.7"));
      expect(appended[0]!.events[0]!.geo).toBe(PARIS);
    });

    it("is not looked up for a token that is unknown", async () => {
      const { ingress, looked } = makePlacing({ resolve: async () => null });
      expect((await ingress.fetch(from("203.0.113.7"))).status).toBe(401);
      expect(looked).toEqual([]);
    });
  });

  it("an event over the source's size is refused as the protocol refuses one that is too large", async () => {
    const { ingress, appended } = withRules({ max_event_bytes: 2_000 });
    const large = { properties: { text: "x".repeat(2_000) } };
    const plain = await seen(await ingress.fetch(post("/e", anEventBody(large))));
    expect(plain).toEqual({ status: 413, body: expect.stringMatching(/ takes \d+ bytes of at most 2000$/) });
    const { body } = await seen(await ingress.fetch(post("/i/v1/analytics/events", v1Body(large), v1Headers)));
    expect(JSON.parse(body).results[UUIDS[0]]).toEqual({ result: "drop", details: "event_too_big" });
    expect(appended.map(({ events }) => events.length)).toEqual([1]);
  });

  it("restrictions hold for the events of a request one by one", async () => {
    const { ingress, appended, refused } = withRules({}, [
      { action: "drop", distinct_ids: ["banned"] },
      { action: "dead_letter", events: ["odd"] },
    ]);
    const batch = [
      { event: "a", distinct_id: "banned" },
      { event: "odd", distinct_id: "u" },
      { event: "b", distinct_id: "u" },
    ];
    expect((await ingress.fetch(post("/batch", JSON.stringify({ api_key: "phc_web", batch })))).status).toBe(200);
    expect(appended[0]?.events.map(({ event, quarantine }) => [event, quarantine !== undefined])).toEqual([
      ["odd", true],
      ["b", false],
    ]);
    expect(refused.map(({ counts }) => counts)).toEqual([{ web: { restricted: 1 } }]);
  });

  it("what is refused is counted only once the rest is durable: a client that failed sends all of it again", async () => {
    const { ingress, refused } = makeIngress({
      resolve: async () => ({ team: "acme", lanes: 1, restrictions: [{ action: "drop", events: ["a"] }] }),
      append: () => Promise.reject(new Error("SQLITE_FULL")),
    });
    const batch = ["a", "b"].map((event) => ({ event, distinct_id: "u" }));
    expect((await ingress.fetch(post("/batch", JSON.stringify({ api_key: "phc_web", batch })))).status).toBe(503);
    expect(refused).toEqual([]);
  });
});

describe("a question beside events", () => {
  it("is cut where its upload stalls", async () => {
    const timers: (() => void)[] = [];
    const timer = () => {
      const { promise: done, resolve } = Promise.withResolvers<void>();
      timers.push(resolve);
      return { done, cancel: () => {} };
    };
    const handle = async (request: Request) => new Response(await request.text());
    const { ingress, records } = makeIngress({ timer, endpoints: [{ methods: ["POST"], path: "/flags", handle }] });
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("{")) });
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const answer = ingress.fetch(new Request("http://capture.test/flags", init));
    await Promise.resolve();
    expect(timers).toHaveLength(1);
    timers[0]?.();
    const response = await answer;
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await seen(response)).toEqual({ status: 408, body: "client stopped sending data" });
    expect(records).toEqual([]);
  });
});

describe("any request", () => {
  const path = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        "/batch",
        "/e/",
        "/i/v0/e",
        "/capture/",
        "/track",
        "/engage/",
        "/s/",
        "/",
        "/_liveness",
      ),
    },
    { weight: 1, arbitrary: fc.webPath() },
    { weight: 1, arbitrary: fc.string().map((text) => `/${text.replace(/[#?\\]/g, "")}`) },
  );
  const query = fc.oneof(
    fc.constantFrom("", "?compression=gzip", "?_=1785585600000", "?sent_at=abc", "?_=1&_=2", "?a[]=1&__proto__=2&%zz"),
    fc.webQueryParameters().map((text) => `?${text}`),
  );
  const method = fc.oneof(
    { weight: 5, arbitrary: fc.constant("POST") },
    { weight: 1, arbitrary: fc.constantFrom("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "PROPFIND", "x") },
  );
  const value = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ maxLength: 20, unit: "binary" })).map(
    // What the wire can carry: bytes, without line ends and NUL.
    (text) =>
      Buffer.from(text)
        .toString("latin1")
        .replace(/[\0\r\n]/g, ""),
  );
  const headers = fc.record(
    {
      "content-type": fc.oneof(
        value,
        fc.constantFrom("application/json", "text/plain", "application/x-www-form-urlencoded"),
      ),
      "content-encoding": fc.oneof(value, fc.constantFrom("gzip", "br", "deflate", "gzip, gzip")),
      "content-length": fc.oneof(value, fc.constantFrom("0", "-1", "5", "99999999999")),
      "x-forwarded-for": value,
      "cf-connecting-ip": value,
      origin: value,
      "access-control-request-headers": value,
      "user-agent": value,
    },
    { requiredKeys: [] },
  );
  const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>;
  const field = (usual: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 4, arbitrary: usual }, { weight: 1, arbitrary: json });
  const event = fc.record(
    {
      token: field(fc.constantFrom("phc_acme", "other")),
      event: field(fc.string()),
      distinct_id: field(fc.string()),
      $distinct_id: json,
      uuid: field(fc.oneof(fc.uuid(), fc.constant(""))),
      timestamp: field(
        fc.oneof(
          fc.string(),
          fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
        ),
      ),
      offset: field(fc.maxSafeInteger()),
      properties: field(
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("__proto__", "token", "distinct_id")), json),
      ),
      $set: field(fc.dictionary(fc.string(), json)),
      $set_once: field(fc.dictionary(fc.string(), json)),
    },
    { requiredKeys: [] },
  );
  const good = fc.record({ token: fc.constant("phc_acme"), event: fc.string({ minLength: 1 }), distinct_id: fc.nat() });
  const shape = fc.oneof(
    good,
    event,
    fc.array(fc.oneof(good, event), { maxLength: 4 }),
    fc.record(
      {
        api_key: field(fc.constant("phc_acme")),
        batch: field(fc.array(fc.oneof(good, event))),
        sent_at: json,
        historical_migration: json,
      },
      { requiredKeys: ["batch"] },
    ),
    json,
  );
  const text = shape.map((body) => new TextEncoder().encode(JSON.stringify(body)));
  const damaged = fc.tuple(text, fc.nat(), fc.nat({ max: 255 })).map(([bytes, at, byte]) => {
    const copy = Uint8Array.from(bytes);
    if (copy.length > 0) copy[at % copy.length] = byte;
    return copy;
  });
  const plain = fc.oneof(text, damaged, fc.uint8Array({ maxLength: 200 }));
  const body = fc.oneof(
    plain,
    plain.map((bytes) => Uint8Array.from(gzipSync(bytes))),
    fc.tuple(plain, fc.nat({ max: 60 })).map(([bytes, cut]) => Uint8Array.from(gzipSync(bytes)).slice(0, -cut)),
  );

  it("gets an answer below 500, and success only with its events appended (invariants 1 and 6)", async () => {
    const { ingress, appended, records } = makeIngress();
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(method, path, query, headers, body, async (method, path, query, headers, body) => {
        const bare = method === "GET" || method === "HEAD";
        const init = { method, headers: headers as Record<string, string>, body: bare ? null : Uint8Array.from(body) };
        const before = appended.length;
        const response = await ingress.fetch(new Request(`http://capture.test${path}${query}`, init));
        const answer = await response.text();
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        expect(response.status).toBeLessThan(500);
        if (appended.length > before) expect(response.status).toBe(200);
        if (response.status >= 400 && method !== "HEAD") expect(answer).not.toBe("");
      }),
      { numRuns: FUZZ_RUNS },
    );
    expect(records).toEqual([]);
    // The search reaches all that it is meant to reach.
    for (const status of [200, 400, 401, 404, 405, 413]) expect(statuses.get(status)).toBeGreaterThan(0);
    expect(appended.length).toBeGreaterThan(FUZZ_RUNS / 100);
  }, 600_000);
});
