import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Refused } from "../../shared/lane-api.ts";
import { laneName } from "../../workers/capture/lane-name.ts";
import { freshFolder, type Headwater, startHeadwater } from "./headwater.ts";
import { HAS_REDIS, type RedisServer, startRedis } from "./redis.ts";
import { until } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const DAY_S = 86_400;
/** Limits are read again after 5 s. */
const REFRESH_TIMEOUT_MS = 20_000;

let sink: WebhookSink;
let headwater: Headwater | undefined;

beforeAll(async () => {
  sink = await startWebhookSink();
});
afterAll(() => sink.stop());
afterEach(async () => {
  await headwater?.stop();
  headwater = undefined;
});

const team = (more: object) => ({
  id: "acme",
  tokens: ["phc_acme", "phc_other"],
  destinations: [{ id: "hook", kind: "webhook", url: sink.url }],
  ...more,
});

async function start(more: object, env: Record<string, string>, dataDir?: string): Promise<Headwater> {
  headwater = await startHeadwater({
    config: { teams: [team(more)] },
    env,
    ...(dataDir === undefined ? {} : { dataDir }),
  });
  return headwater;
}

interface Answer {
  status: number;
  body: string;
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(new URL(path, headwater?.capture), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.text() };
}

const v0Batch = (token: string, names: string[]) => ({
  api_key: token,
  batch: names.map((event) => ({ event, distinct_id: "u", properties: {} })),
});
const sendV0 = (names: string[], token = "phc_acme") => post("/batch/", v0Batch(token, names));
const OK = { status: 200, body: '{"status":"Ok"}' };

function sendV1(events: { event: string; uuid: string }[]): Promise<Answer> {
  const now = new Date().toISOString();
  const batch = events.map((event) => ({ ...event, distinct_id: "u", timestamp: now, properties: {} }));
  return post(
    "/i/v1/analytics/events",
    { created_at: now, batch },
    {
      authorization: "Bearer phc_acme",
      "posthog-sdk-info": "test/1.0.0",
      "posthog-attempt": "1",
      "posthog-request-id": randomUUID(),
      "posthog-request-timestamp": now,
    },
  );
}

const snapshot = {
  api_key: "phc_acme",
  event: "$snapshot",
  distinct_id: "u",
  properties: { $session_id: "s-1", $snapshot_data: [{ type: 3 }] },
};

/** Names of the events that the sink has taken, as soon as the marker that is sent now has come. */
async function arrived(token = "phc_other"): Promise<string[]> {
  // The marker goes through a lane of its own: what the others hold may come behind it.
  await headwater?.waitForQuiet("acme", ["hook"], {});
  const marker = `marker ${randomUUID()}`;
  expect(await sendV0([marker], token)).toEqual(OK);
  const names = () => sink.accepted.flatMap(({ events }) => events.map(({ event }) => event));
  await until(() => names().includes(marker), { timeoutMs: 30_000, describe: () => "the marker" });
  return names().filter((name) => !name.startsWith("marker"));
}

/** What capture has not stored, once all of it is told. */
async function refusedOnceAll(count: number): Promise<Refused> {
  const total = (refused: Refused) =>
    Object.values(refused).reduce((sum, reasons) => sum + Object.values(reasons).reduce((a, b) => a + b, 0), 0);
  let last: Refused = {};
  return until(
    async () => {
      last = (await headwater?.api<{ refused: Refused }>("GET", "/api/teams/acme/flow"))?.refused ?? {};
      return total(last) >= count ? last : null;
    },
    { timeoutMs: 30_000, describe: () => `${count} refused events: ${JSON.stringify(last)}` },
  );
}

describe.skipIf(!HAS_REDIS)("quotas in Redis, as PostHog has them (needs redis-server)", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  const limit = (resource: string, token = "phc_acme") =>
    redis.command("ZADD", `@posthog/quota-limits/${resource}`, Math.floor(Date.now() / 1000) + DAY_S, token);

  it("are answered as each protocol's SDKs take for final, store nothing, and are counted", async () => {
    for (const resource of ["events", "recordings"]) await limit(resource);
    await start({}, redis.env);
    expect(await sendV0(["over a", "$exception"])).toEqual(OK);
    expect(await post("/e/", { ...v0Batch("phc_acme", ["over b"]) })).toEqual(OK);
    expect(await post("/s/", snapshot)).toEqual({
      status: 200,
      body: '{"status":"Ok","quota_limited":["recordings"]}',
    });
    const [one, other] = [randomUUID(), randomUUID()];
    const whole = await sendV1([{ event: "over c", uuid: one }]);
    expect(whole).toMatchObject({ status: 402, body: expect.stringContaining('"error":"billing_limit_exceeded"') });
    const partial = await sendV1([
      { event: "over d", uuid: one },
      { event: "$exception", uuid: other },
    ]);
    expect(partial.status).toBe(200);
    expect(JSON.parse(partial.body)).toEqual({
      results: { [one]: { result: "drop", details: "events_over_quota" }, [other]: { result: "ok" } },
    });
    const track = { type: "track", event: "over e", userId: "u", writeKey: "phc_acme" };
    expect(await post("/v1/track", track)).toEqual({ status: 200, body: '{"success":true}' });
    const pixel = await fetch(new URL("/p/phc_acme.gif?event=over+f&distinct_id=u", headwater?.capture));
    expect([pixel.status, pixel.headers.get("content-type")]).toEqual([200, "image/gif"]);
    expect(await arrived()).toEqual(["$exception", "$exception"]);
    expect(await refusedOnceAll(7)).toEqual({
      posthog: { "quota:events": 4, "quota:recordings": 1 },
      segment: { "quota:events": 1 },
      pixel: { "quota:events": 1 },
    });
  });

  it("let everything in without Redis, hold again once it is back, and outlive it for a while", async () => {
    await redis.kill();
    await start({}, redis.env);
    expect(await sendV0(["without redis"])).toEqual(OK);
    expect(await arrived()).toContain("without redis");
    await redis.start();
    await limit("exceptions");
    const isLimited = async () => {
      const { status } = await sendV1([{ event: "$exception", uuid: randomUUID() }]);
      return status === 402;
    };
    await until(isLimited, { timeoutMs: REFRESH_TIMEOUT_MS, everyMs: 500, describe: () => "not limited" });
    await redis.kill();
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(await isLimited()).toBe(true);
    expect(headwater?.output).toContain("quotas in Redis cannot be read");
    await redis.start();
  });
});

describe("a team's own quota", () => {
  it("is kept to the event by one lane, over kill -9, each resource by its own", async () => {
    const quota = { events_per_day: 5, recordings_per_day: 1 };
    const { capture } = await start({ quota, tokens: ["phc_acme"] }, {});
    expect(capture).toMatch(/^http/);
    expect(await sendV0(["day 1", "day 2", "day 3"])).toEqual(OK);
    const uuids = [randomUUID(), randomUUID(), randomUUID(), randomUUID()] as const;
    const partial = await sendV1(uuids.map((uuid, index) => ({ event: `day ${index + 4}`, uuid })));
    expect(JSON.parse(partial.body)).toEqual({
      results: Object.fromEntries(
        uuids.map((uuid, index) => [
          uuid,
          index < 2 ? { result: "ok" } : { result: "drop", details: "events_over_quota" },
        ]),
      ),
    });
    expect(await post("/s/", snapshot)).toEqual(OK);
    await headwater?.killTree();
    await headwater?.restart();
    expect(await sendV0(["day 8", "$exception"])).toEqual(OK);
    expect((await sendV1([{ event: "day 9", uuid: randomUUID() }])).status).toBe(402);
    expect((await post("/s/", snapshot)).body).toContain("quota_limited");
    // Five events, a recording, an exception.
    const books = await headwater?.waitForQuiet("acme", ["hook"], { accepted: 7 });
    expect(books?.hook?.accepted).toBe(7);
    const days = sink.accepted
      .flatMap(({ events }) => events.map(({ event }) => event))
      .filter((name) => /^day/.test(name));
    expect(new Set(days)).toEqual(new Set(["day 1", "day 2", "day 3", "day 4", "day 5"]));
  });

  it("is kept under requests at once", async () => {
    await start({ quota: { events_per_day: 100 }, tokens: ["phc_acme"] }, {});
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => sendV0(["at once 1", "at once 2", "at once 3"])),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    // Near the limit a request may be refused for others that are under way: what is left is taken later.
    for (let i = 0; i < 34; i++) await sendV0(["later 1", "later 2", "later 3"]);
    const books = await headwater?.waitForQuiet("acme", ["hook"], { accepted: 100 });
    expect(books?.hook?.accepted).toBe(100);
  });
});

describe.skipIf(!HAS_REDIS)("dedupe across lanes (needs redis-server)", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  const lane = (user: string) => laneName("acme", "local", 2, user);
  const [first = "", second = ""] = [
    "u0",
    ...["u1", "u2", "u3", "u4", "u5"].filter((user) => lane(user) !== lane("u0")),
  ];
  const sendAs = (distinct_id: string, uuid: string, event: string) =>
    post("/batch/", { api_key: "phc_acme", batch: [{ event, distinct_id, uuid, properties: {} }] });
  const times = async (event: string) => (await arrived()).filter((name) => name === event).length;

  it("stores a uuid once that comes to two lanes, for as long as Redis is there", async () => {
    await start({ lanes: 2 }, redis.env);
    const uuid = randomUUID();
    expect(await sendAs(first, uuid, "twice")).toEqual(OK);
    const key = `headwater:seen:acme:${uuid}`;
    await until(() => redis.command("EXISTS", key), { timeoutMs: 5_000, describe: () => "no key" });
    expect(await redis.command("TTL", key)).toBeGreaterThan(3_500);
    expect(await sendAs(second, uuid, "twice")).toEqual(OK);
    expect(await times("twice")).toBe(1);
    expect(await refusedOnceAll(1)).toEqual({ posthog: { duplicate: 1 } });
    await redis.kill();
    const later = randomUUID();
    expect(await sendAs(first, later, "redis gone")).toEqual(OK);
    expect(await sendAs(first, later, "redis gone")).toEqual(OK);
    expect(await times("redis gone")).toBe(1);
    await redis.start();
  });

  it("loses no event whose append has failed (invariant 1)", async () => {
    const dataDir = `${freshFolder()}/data`;
    const uuid = randomUUID();
    await start({ lanes: 2 }, { ...redis.env, HEADWATER_VAR_LANE_BACKLOG_BYTES: "10" }, dataDir);
    redis.requests.length = 0;
    expect((await sendAs(first, uuid, "failed once")).status).toBe(503);
    expect(redis.requests.map(({ body }) => (body as unknown[])[0])).toContain("mget");
    await headwater?.stop();
    await start({ lanes: 2 }, redis.env, dataDir);
    expect(await sendAs(second, uuid, "failed once")).toEqual(OK);
    expect(await times("failed once")).toBe(1);
  });
});
