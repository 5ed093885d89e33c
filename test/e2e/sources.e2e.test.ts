import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Headwater, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

let sink: WebhookSink;
let headwater: Headwater;
let behindProxy: Headwater;

const config = () => ({
  teams: [
    {
      id: "acme",
      tokens: ["phc_acme"],
      sources: [
        {
          id: "web",
          tokens: ["phc_web"],
          origins: ["https://shop.example"],
          events: { deny: ["noise_*"] },
          ip: "mask",
        },
        { id: "off", tokens: ["phc_off"], enabled: false },
        { id: "mobile", tokens: ["phc_mobile"], protocol: "segment" },
      ],
      restrictions: [{ action: "drop", distinct_ids: ["banned"] }],
      destinations: [{ id: "hook", kind: "webhook", url: sink.url }],
    },
  ],
});

beforeAll(async () => {
  sink = await startWebhookSink();
  headwater = await startHeadwater({ config: config() });
  behindProxy = await startHeadwater({ config: config(), env: { HEADWATER_VAR_TRUSTED_PROXIES: "private" } });
});

afterAll(async () => {
  await headwater?.stop();
  await behindProxy?.stop();
  await sink?.stop();
});

const SPOOFED = {
  "cf-connecting-ip": "6.6.6.6",
  "x-forwarded-for": "6.6.6.6, 203.0.113.7",
  forwarded: "for=6.6.6.6",
  "mf-cf-blob": '{"clientIp":"6.6.6.6:1","colo":"TXL","country":"XX"}',
};

async function send(
  to: Headwater,
  token: string,
  event: Record<string, unknown>,
  headers: Record<string, string> = {},
) {
  const body = JSON.stringify({ token, distinct_id: "u", ...event });
  const response = await fetch(`${to.capture}/e/`, { method: "POST", body, headers });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

async function refusedOf(from: Headwater): Promise<Record<string, unknown>> {
  const answer = await fetch(`${from.console}/api/teams/acme/flow`, {
    headers: { authorization: `Bearer ${from.adminToken}` },
  });
  return ((await answer.json()) as { refused: Record<string, unknown> }).refused;
}

async function arrived(name: string) {
  const found = () => sink.accepted.flatMap(({ events }) => events).find(({ event }) => event === name);
  await until(() => found() !== undefined, {
    timeoutMs: 10_000,
    everyMs: 20,
    describe: () => `${name} has not arrived`,
  });
  return found()!;
}

describe("the client's address on one machine", () => {
  it("is who has opened the connection, whatever the headers say", async () => {
    expect((await send(headwater, "phc_acme", { event: "direct" }, SPOOFED)).status).toBe(200);
    const event = await arrived("direct");
    expect([event.ip, event.geo]).toEqual(["127.0.0.1", undefined]);
  });

  it("is what a trusted proxy says", async () => {
    expect((await send(behindProxy, "phc_acme", { event: "proxied" }, SPOOFED)).status).toBe(200);
    expect((await arrived("proxied")).ip).toBe("203.0.113.7");
  });

  it("does not break a request by a header that only Miniflare should send", async () => {
    expect((await send(headwater, "phc_acme", { event: "x" }, { "mf-cf-blob": "{" })).status).toBe(200);
  });
});

describe("sources and restrictions", () => {
  it("the events of a source carry its id, and as much of the address as it lets them", async () => {
    const headers = { "x-forwarded-for": "203.0.113.7", origin: "https://shop.example" };
    const answer = await send(behindProxy, "phc_web", { event: "masked" }, headers);
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, "https://shop.example"]);
    expect(await arrived("masked")).toMatchObject({ source: "web", ip: "203.0.113.0" });
  });

  it("a page that may not send is refused, and cannot read why", async () => {
    const answer = await send(headwater, "phc_web", { event: "x" }, { origin: "https://evil.example" });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([403, null]);
  });

  it("a protocol that the source does not take is refused with what it takes", async () => {
    const answer = await send(headwater, "phc_mobile", { event: "x" });
    expect(answer).toMatchObject({ status: 403, text: expect.stringContaining("Segment's Tracking API only") });
  });

  it("what is not stored is answered as taken, and counted (invariant 5)", async () => {
    for (let n = 0; n < 3; n++) expect((await send(headwater, "phc_web", { event: "noise_x" })).status).toBe(200);
    expect((await send(headwater, "phc_off", { event: "x" })).status).toBe(200);
    expect((await send(headwater, "phc_web", { event: "x", distinct_id: "banned" })).status).toBe(200);
    // Goes with the next append of the lane.
    expect((await send(headwater, "phc_web", { event: "last" })).status).toBe(200);
    expect((await arrived("last")).source).toBe("web");
    expect(await refusedOf(headwater)).toMatchObject({
      web: { event_not_allowed: 3, restricted: 1 },
      off: { source_disabled: 1 },
    });
    expect(sink.accepted.flatMap(({ events }) => events).filter(({ event }) => event === "noise_x")).toEqual([]);
  });

  it("what is not stored is counted also where nothing else is (invariant 5)", async () => {
    for (let n = 0; n < 3; n++) expect((await send(behindProxy, "phc_off", { event: "x" })).status).toBe(200);
    let refused: Record<string, unknown> = {};
    const told = async () => {
      refused = await refusedOf(behindProxy);
      return refused.off !== undefined;
    };
    // Capture waits 10 s for an append to tell the lane with.
    await until(told, { timeoutMs: 20_000, everyMs: 500, describe: () => JSON.stringify(refused) });
    expect(refused.off).toEqual({ source_disabled: 3 });
  });
});
