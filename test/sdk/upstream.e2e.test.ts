import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Headwater, startHeadwater } from "../e2e/headwater.ts";
import { startWebhookSink, type WebhookSink } from "../e2e/webhook-sink.ts";

/** What the upstream was asked: method, path, the client's address as it was told, body. */
const asked: [method: string, url: string, client: unknown, body: string][] = [];
const upstream = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    asked.push([request.method ?? "", request.url ?? "", request.headers["x-forwarded-for"], body]);
    response.setHeader("set-cookie", "a=b");
    response.setHeader("cache-control", request.url?.startsWith("/static/kept") ? "public, max-age=60" : "no-store");
    response.setHeader("content-type", "text/javascript");
    response.end(`// ${asked.length}`);
  });
});
let sink: WebhookSink;
let headwater: Headwater;

beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  sink = await startWebhookSink();
  headwater = await startHeadwater({
    env: {
      HEADWATER_VAR_UPSTREAM_URL: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/`,
      HEADWATER_VAR_CAPTURE_PREFIXES: "/ingest",
      // The proxy that speaks for the client is this test.
      HEADWATER_VAR_TRUSTED_PROXIES: "private",
    },
    config: {
      teams: [{ id: "acme", tokens: ["phc_acme"], destinations: [{ id: "hook", kind: "webhook", url: sink.url }] }],
    },
  });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.stop();
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
});

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`${headwater.capture}${path}`, { ...init, headers: { "x-forwarded-for": "203.0.113.7", cookie: "session=1" } });

it("scripts are asked for once as long as the upstream lets them be kept, others every time", async () => {
  const texts = async (path: string) => {
    const seen: string[] = [];
    for (let n = 0; n < 3; n++) seen.push(await (await ask(path)).text());
    return new Set(seen).size;
  };
  expect(await texts("/static/kept.js?v=1")).toBe(1);
  expect(await texts("/ingest/static/kept.js?v=1")).toBe(1);
  expect(await texts("/static/other.js")).toBe(3);
  expect(asked.map(([, url]) => url)).toEqual(["/static/kept.js?v=1", ...new Array(3).fill("/static/other.js")]);
});

it("flags are asked for every time, with the client's address and the body, and without cookies coming back", async () => {
  asked.length = 0;
  const body = '{"token":"phc_acme","distinct_id":"größe"}';
  for (let n = 0; n < 2; n++) {
    const response = await ask("/flags/?v=2", { method: "POST", body });
    expect([response.status, response.headers.get("set-cookie")]).toEqual([200, null]);
  }
  expect(asked).toEqual(new Array(2).fill(["POST", "/flags/?v=2", "203.0.113.7", body]));
});

it("a pixel under the prefix becomes an event, and is the image of 43 bytes", async () => {
  const response = await ask("/ingest/p/phc_acme.gif?event=opened&distinct_id=user%201&campaign=gr%C3%BCn");
  expect([response.status, response.headers.get("content-type"), response.headers.get("cache-control")]).toEqual([
    200,
    "image/gif",
    "no-store",
  ]);
  expect((await response.arrayBuffer()).byteLength).toBe(43);
  await sink.received(1);
  const [event] = sink.accepted.flatMap(({ events }) => events);
  expect(event).toMatchObject({
    event: "opened",
    distinct_id: "user 1",
    ip: "203.0.113.7",
    source: "pixel",
    properties: { campaign: "grün" },
  });
  const refused = await ask("/p/unknown.gif?event=opened&distinct_id=u");
  expect([refused.status, refused.headers.get("x-error")]).toEqual([401, expect.stringContaining("unknown")]);
  expect((await refused.arrayBuffer()).byteLength).toBe(43);
});
