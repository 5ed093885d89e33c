import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  browserRequests,
  nodeRequests,
  type WireRequest,
  wired,
} from "../../workers/capture/testing/posthog-requests.ts";
import { type Headwater, startHeadwater } from "./headwater.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

let sink: WebhookSink;
let headwater: Headwater;

beforeAll(async () => {
  sink = await startWebhookSink();
  headwater = await startHeadwater({
    config: {
      teams: [{ id: "acme", tokens: ["phc_acme"], destinations: [{ id: "hook", kind: "webhook", url: sink.url }] }],
    },
  });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.stop();
});

function send({ path, headers, body }: WireRequest): Promise<Response> {
  const init = body.length === 0 ? { method: "GET" } : { method: "POST", body: Uint8Array.from(body) };
  return fetch(`${headwater.capture}${path}`, { ...init, headers });
}

/** As a client that has made a new event would: the lane drops what it has by its uuid. */
function renewed(wire: { path: string; headers: Record<string, string>; body: string }, n: number) {
  const uuid = /"uuid":"[^"]+"/g;
  let at = 0;
  const fresh = () => `"uuid":"0190b0f0-0000-7000-8000-${(n * 1_000 + at++).toString(16).padStart(12, "0")}"`;
  return { ...wire, body: wire.body.replace(uuid, fresh) };
}

it("the runtime reads what SDKs send in every encoding, and every event arrives once", async () => {
  const sent = [...(await nodeRequests("v0")), ...(await nodeRequests("v1")), ...browserRequests()];
  const names = new Map<string, number>();
  let n = 0;
  for (const request of sent) {
    for (let way = 0; way < wired(request).length; way++) {
      const response = await send(wired(renewed(request, ++n))[way]!);
      const text = await response.text();
      expect([request.path, way, response.status, text]).toEqual([
        request.path,
        way,
        request.path.includes("beacon=1") ? 204 : 200,
        request.path.includes("beacon=1")
          ? ""
          : expect.stringMatching(/^(\{"status":"Ok"\}|\{"results":\{.*"ok".*\}\})$/),
      ]);
      for (const [, name] of request.body.matchAll(/"event":"([^"]+)"/g)) {
        const arrives = name === "$snapshot" ? "$snapshot_items" : (name as string);
        names.set(arrives, (names.get(arrives) ?? 0) + 1);
        if (name === "$pageleave") names.set("$$heatmap", (names.get("$$heatmap") ?? 0) + 1);
      }
      // The body for /engage names no event.
      if (request.path.startsWith("/engage")) names.set("$identify", (names.get("$identify") ?? 0) + 1);
    }
  }
  const accepted = [...names.values()].reduce((sum, count) => sum + count, 0);
  expect(accepted).toBeGreaterThan(60);
  await headwater.waitForQuiet("acme", ["hook"], { accepted });
  const arrived = new Map<string, number>();
  for (const { event } of sink.accepted.flatMap(({ events }) => events))
    arrived.set(event, (arrived.get(event) ?? 0) + 1);
  expect(Object.fromEntries(arrived)).toEqual(Object.fromEntries(names));
});

it("a bomb is refused, and the runtime goes on", async () => {
  const bomb = gzipSync(new Uint8Array(200 * 1024 * 1024), { level: 1 });
  const response = await send({ path: "/e/", headers: {}, body: bomb });
  expect(response.status).toBe(413);
  expect(await response.text()).toBe("maximum event size exceeded: Decompressed payload would exceed 16777216 bytes");
  expect((await fetch(`${headwater.capture}/_liveness`)).status).toBe(200);
});
