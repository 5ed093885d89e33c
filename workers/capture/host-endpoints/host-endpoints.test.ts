import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { IngressRecord } from "../accept.ts";
import { clientReader } from "../client.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { createIngress } from "../ingress.ts";
import { parsePrefixes } from "../prefixes.ts";
import { NO_PROXIES, proxiesOf } from "../proxies.ts";
import { hostEndpoints } from "./registry.ts";
import { upstreamOf } from "./upstream.ts";

const never = { done: new Promise<void>(() => {}), cancel: () => {} };

interface Rig {
  upstream?: { UPSTREAM_URL?: string; UPSTREAM_ASSETS_URL?: string };
  answer?: (request: Request) => Promise<Response>;
  cacheFails?: boolean;
}

/** The routes as they are served, in front of an upstream that records what it is asked. */
function makeHost({ upstream = {}, answer = async () => new Response("from upstream"), cacheFails = false }: Rig = {}) {
  const asked: { url: string; method: string; headers: Record<string, string>; body: string }[] = [];
  const records: IngressRecord[] = [];
  const kept = new Map<string, Response>();
  const broken = () => Promise.reject(new Error("the cache is down"));
  const ingress = createIngress({
    resolve: async () => ({ team: "acme", lanes: 1 }),
    append: async () => {},
    refused: () => {},
    clock: { now: () => Date.UTC(2026, 7, 1, 12) },
    fillRandom: () => {},
    timer: () => never,
    log: (record) => void records.push(record),
    limits: DEFAULT_LIMITS,
    prefixes: parsePrefixes("/ingest"),
    endpoints: hostEndpoints(
      upstreamOf(upstream, {
        client: clientReader(proxiesOf({ TRUSTED_PROXIES: "private" })),
        async fetch(request) {
          const { url, method } = request;
          asked.push({ url, method, headers: Object.fromEntries(request.headers), body: await request.clone().text() });
          return answer(request);
        },
        cache: {
          match: async (key) => (cacheFails ? broken() : kept.get((key as Request).url)?.clone()),
          put: async (key, response) => (cacheFails ? broken() : void kept.set((key as Request).url, response)),
        },
        waitUntil: () => {},
      }),
    ),
  });
  const ask = (path: string, init: RequestInit = {}) =>
    ingress.fetch(
      Object.defineProperty(new Request(`http://capture.test${path}`, init), "cf", {
        value: { clientIp: "10.0.0.9:4711" },
      }),
    );
  return { ask, asked, records };
}

const POSTHOG = { UPSTREAM_URL: "https://us.example/", UPSTREAM_ASSETS_URL: "https://assets.example/base/" };

describe("without an upstream", () => {
  it.each<[string, string, Record<string, unknown>]>([
    ["GET", "/array/phc_acme/config", { sessionRecording: false, surveys: false, siteApps: [] }],
    ["GET", "/array/phc_acme/config/?v=1", { hasFeatureFlags: false }],
    ["POST", "/flags/?v=2&config=true", { flags: {}, featureFlags: {}, errorsWhileComputingFlags: false }],
    ["GET", "/flags", { flags: {} }],
    ["POST", "/decide/?v=3", { featureFlags: {}, featureFlagPayloads: {} }],
    ["GET", "/api/surveys/?token=x", { surveys: [] }],
    ["GET", "/api/product_tours/", { product_tours: [] }],
    ["GET", "/api/early_access_features/", { earlyAccessFeatures: [] }],
    ["GET", "/api/web_experiments/", { experiments: [] }],
    ["POST", "/v1/m", { success: true }],
    ["POST", "/rsaMetrics", { success: true }],
  ])("%s %s answers with the least that an SDK starts with", async (method, path, part) => {
    const response = await makeHost().ask(path, { method, headers: { origin: "https://shop.example" } });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    expect(await response.json()).toMatchObject(part);
  });

  it("GET /array/<token>/config.js hands the configuration over as the SDK looks for it", async () => {
    const response = await makeHost().ask("/array/phc_acme/config.js");
    expect(response.headers.get("content-type")).toBe("application/javascript; charset=utf-8");
    const window: { _POSTHOG_REMOTE_CONFIG?: Record<string, { config: unknown; siteApps: unknown }> } = {};
    runInNewContext(await response.text(), { window });
    expect(window._POSTHOG_REMOTE_CONFIG?.phc_acme).toMatchObject({ config: { token: "phc_acme" }, siteApps: [] });
  });

  it.each(["%22)%3Balert(1)%2F%2F", "%3C%2Fscript%3E", "x".repeat(65)])(
    "takes no token %s into a script",
    async (token) => {
      const response = await makeHost().ask(`/array/${token}/config.js`);
      expect([response.status, await response.text()]).toEqual([
        400,
        "the path must name a token: /array/<token>/config.js",
      ]);
    },
  );

  it.each(["/static/recorder.js", "/static/1.2.3/surveys.js", "/array/phc_acme/array.js"])(
    "GET %s answers 404 with the variable to set",
    async (path) => {
      const response = await makeHost().ask(path);
      expect(response.status).toBe(404);
      expect(await response.text()).toContain("set UPSTREAM_ASSETS_URL");
    },
  );

  it("answers other methods with 405, and a HEAD without a body", async () => {
    const { ask } = makeHost();
    const wrong = await ask("/array/x/config", { method: "POST" });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
    const head = await ask("/array/x/config", { method: "HEAD" });
    expect([head.status, head.body]).toEqual([200, null]);
  });
});

describe("settings of analytics.js", () => {
  const settings = async (path: string, headers: Record<string, string> = {}) => {
    const response = await makeHost().ask(path, { headers });
    expect(response.headers.get("cache-control")).toBe("public, max-age=300");
    return (await response.json()) as { integrations: Record<string, Record<string, unknown>> };
  };

  it.each<[string, string, Record<string, string>, Record<string, unknown>]>([
    ["the host asked", "/v1/projects/k/settings", {}, { apiKey: "k", apiHost: "capture.test/v1", protocol: "http" }],
    ["a prefix", "/ingest/v1/projects/k/settings/", {}, { apiHost: "capture.test/ingest/v1" }],
    ["TLS that ends before", "/v1/projects/k/settings", { "x-forwarded-proto": "https, http" }, { protocol: "https" }],
    ["an encoded key", "/v1/projects/a%3Ab/settings", {}, { apiKey: "a:b" }],
    ["a key that is no UTF-8", "/v1/projects/%ff/settings", {}, { apiKey: "%ff" }],
  ])("send events to where they were read: %s", async (_what, path, headers, part) => {
    expect((await settings(path, headers)).integrations["Segment.io"]).toMatchObject(part);
  });
});

it("tells RudderStack's SDK that its source is on and has no destinations", async () => {
  const response = await makeHost().ask("/sourceConfig/?p=npm&v=3&writeKey=k");
  expect(await response.json()).toMatchObject({
    source: {
      id: "k",
      writeKey: "k",
      enabled: true,
      config: { statsCollection: { errors: { enabled: false }, metrics: { enabled: false } } },
      destinations: [],
    },
  });
});

describe("with an upstream", () => {
  it.each([
    ["POST", "/flags/?v=2", "https://us.example/flags/?v=2"],
    ["POST", "/ingest/decide?v=3", "https://us.example/decide?v=3"],
    ["GET", "/api/surveys/?token=a%20b", "https://us.example/api/surveys/?token=a%20b"],
    ["GET", "/array/phc_acme/config", "https://assets.example/base/array/phc_acme/config"],
    ["GET", "/array/phc_acme/config.js", "https://assets.example/base/array/phc_acme/config.js"],
    ["GET", "/static/1.2/recorder.js?v=1", "https://assets.example/base/static/1.2/recorder.js?v=1"],
    ["HEAD", "/static/1.2/recorder.js", "https://assets.example/base/static/1.2/recorder.js"],
  ])("%s %s asks %s", async (method, path, url) => {
    const { ask, asked } = makeHost({ upstream: POSTHOG });
    const response = await ask(path, { method, ...(method === "POST" ? { body: "{}" } : {}) });
    expect(asked).toMatchObject([{ url, method }]);
    expect([response.status, await response.text()]).toEqual([200, method === "HEAD" ? "" : "from upstream"]);
  });

  it("serves everything from one upstream where only one is named", async () => {
    for (const upstream of [{ UPSTREAM_URL: "http://one.example" }, { UPSTREAM_ASSETS_URL: "http://one.example" }]) {
      const { ask, asked } = makeHost({ upstream });
      await ask("/flags", { method: "POST", body: "{}" });
      await ask("/static/a.js");
      expect(asked.map(({ url }) => url)).toEqual(["http://one.example/flags", "http://one.example/static/a.js"]);
    }
  });

  it("refuses an address that is none", () => {
    const deps = { fetch, client: clientReader(NO_PROXIES), cache: null, waitUntil: () => {} };
    expect(() => upstreamOf({ UPSTREAM_URL: "us.example" }, deps)).toThrow(
      'UPSTREAM_URL: "us.example" is no http or https',
    );
    expect(() => upstreamOf({ UPSTREAM_URL: "file:///etc" }, deps)).toThrow("is no http or https address");
  });

  it("passes on the client's address and what the answer depends on, and no cookies or credentials", async () => {
    const { ask, asked } = makeHost({ upstream: POSTHOG });
    const headers = {
      "cf-connecting-ip": "198.51.100.1",
      "x-forwarded-for": "198.51.100.2, 203.0.113.7",
      "content-type": "text/plain",
      "user-agent": "Browser/1",
      origin: "https://shop.example",
      cookie: "session=secret",
      authorization: "Bearer secret",
      "x-other": "1",
    };
    await ask("/flags", { method: "POST", headers, body: "the body" });
    const sent = asked[0]!;
    expect(sent.body).toBe("the body");
    expect(sent.headers).toEqual({
      "content-type": "text/plain",
      "user-agent": "Browser/1",
      "x-forwarded-for": "203.0.113.7",
      // Node's Request takes no origin from a script, a worker's does.
      ...(sent.headers.origin === undefined ? {} : { origin: "https://shop.example" }),
    });
  });

  it("answers with the upstream's status and headers, without those of its connection and origin", async () => {
    const upstreamHeaders = {
      "content-type": "application/json",
      etag: '"1"',
      "set-cookie": "a=b",
      "access-control-allow-origin": "https://us.example",
      "content-encoding": "identity",
    };
    const answer = async () => new Response("no", { status: 429, headers: upstreamHeaders });
    const { ask } = makeHost({ upstream: POSTHOG, answer });
    const response = await ask("/flags", { method: "POST", body: "{}", headers: { origin: "https://shop.example" } });
    expect([response.status, await response.text()]).toEqual([429, "no"]);
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-type": "application/json",
      etag: '"1"',
      "access-control-allow-origin": "https://shop.example",
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "retry-after",
      vary: "origin",
    });
  });

  it("asks once for what may be kept, never keeps an error or what is one person's", async () => {
    let status = 500;
    const { ask, asked } = makeHost({ upstream: POSTHOG, answer: async () => new Response("x", { status }) });
    await ask("/static/a.js");
    status = 200;
    for (let n = 0; n < 3; n++) expect(await (await ask("/static/a.js")).text()).toBe("x");
    await ask("/static/a.js?v=2");
    await ask("/flags", { method: "POST", body: "{}" });
    for (let n = 0; n < 2; n++) await ask("/decide");
    expect(asked.map(({ url }) => new URL(url).pathname + new URL(url).search)).toEqual([
      "/base/static/a.js",
      "/base/static/a.js",
      "/base/static/a.js?v=2",
      "/flags",
      "/decide",
      "/decide",
    ]);
  });

  it("does without a cache that fails", async () => {
    const { ask } = makeHost({ upstream: POSTHOG, cacheFails: true });
    expect((await ask("/static/a.js")).status).toBe(200);
  });

  it("says so where the upstream does not answer, rather than that there are no flags", async () => {
    const { ask, records } = makeHost({ upstream: POSTHOG, answer: () => Promise.reject(new Error("refused")) });
    const response = await ask("/flags", { method: "POST", body: "{}" });
    expect([response.status, await response.text()]).toEqual([
      502,
      "the upstream us.example does not answer; try again later",
    ]);
    expect(records).toMatchObject([{ level: "error", event: "request_failed", protocol: "host", error: "refused" }]);
  });

  it("refuses a body of more than 1 MiB", async () => {
    const { ask, asked } = makeHost({ upstream: POSTHOG });
    const response = await ask("/flags", { method: "POST", body: "x".repeat(1024 * 1024 + 1) });
    expect([response.status, asked.length]).toEqual([413, 0]);
  });
});
