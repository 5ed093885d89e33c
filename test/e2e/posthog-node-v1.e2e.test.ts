import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { PostHog } from "posthog-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const V1_PATH = "/i/v1/analytics/events";
const EVENTS = 2_000;
const USERS = 20;
const VERSION_7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

let sink: WebhookSink;
let headwater: Headwater;
let modeBefore: string | undefined;

beforeAll(async () => {
  modeBefore = process.env.POSTHOG_CAPTURE_MODE;
  process.env.POSTHOG_CAPTURE_MODE = "v1";
  sink = await startWebhookSink();
  headwater = await startHeadwater({
    config: {
      teams: [
        {
          id: "acme",
          tokens: ["phc_acme"],
          destinations: [{ id: "hook", kind: "webhook", url: sink.url, ordered: true }],
        },
      ],
    },
  });
});

afterAll(async () => {
  if (modeBefore === undefined) delete process.env.POSTHOG_CAPTURE_MODE;
  else process.env.POSTHOG_CAPTURE_MODE = modeBefore;
  await headwater?.stop();
  await sink?.stop();
});

/** One answer of capture to the SDK. */
interface Exchange {
  path: string;
  attempt: string | null;
  requestId: string | null;
  encoding: string | null;
  status: number;
  echoed: string | null;
}

interface Front {
  url: string;
  exchanges: Exchange[];
  stop(): void;
}

/** Stands between the SDK and Headwater, writes down what passes, and answers the first `refuse` requests 503 by itself. */
async function startFront(refuse: number): Promise<Front> {
  const exchanges: Exchange[] = [];
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { host: _host, connection: _connection, "content-length": _length, ...headers } = request.headers;
    const forward = () =>
      fetch(`${headwater.capture}${request.url}`, {
        method: request.method ?? "POST",
        headers: headers as Record<string, string>,
        body: Buffer.concat(chunks),
      });
    const answer = exchanges.length < refuse ? new Response("", { status: 503 }) : await forward();
    exchanges.push({
      path: request.url ?? "",
      attempt: request.headers["posthog-attempt"]?.toString() ?? null,
      requestId: request.headers["posthog-request-id"]?.toString() ?? null,
      encoding: request.headers["content-encoding"] ?? null,
      status: answer.status,
      echoed: answer.headers.get("posthog-request-id"),
    });
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain" });
    response.end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, exchanges, stop: () => void server.close() };
}

function clientOf(host: string, options: ConstructorParameters<typeof PostHog>[1] = {}) {
  const client = new PostHog("phc_acme", { host, maxQueueSize: EVENTS * 2, ...options });
  const errors: unknown[] = [];
  client.on("error", (error) => errors.push(error));
  return { client, errors };
}

const arrived = (): Event[] => sink.accepted.flatMap(({ events }) => events);
const uuidOf = (n: number) => `0190b0f0-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;

it("invariants 2, 3, 7: posthog-node in v1 mode gets every event to the webhook exactly once, in order per user, under its own uuid", async () => {
  const { client, errors } = clientOf(headwater.capture, { flushAt: 100 });
  for (let n = 0; n < EVENTS; n++) {
    client.capture({ distinctId: `user-${n % USERS}`, event: "order placed", uuid: uuidOf(n), properties: { n } });
  }
  await client.shutdown(60_000);
  expect(errors).toEqual([]);
  const books = await headwater.waitForQuiet("acme", ["hook"], { accepted: EVENTS });
  expect(imbalance(books.hook!)).toBe(0);
  expect(arrived()).toHaveLength(EVENTS);
  const next = new Map<string, number>();
  for (const { uuid, distinct_id, properties } of arrived()) {
    const n = next.get(distinct_id) ?? Number(distinct_id.slice("user-".length));
    next.set(distinct_id, n + USERS);
    expect({ uuid, n: properties.n }).toEqual({ uuid: uuidOf(n), n });
  }
});

it("every kind of call arrives field by field, after a 503 and its retry, on v1's path and gzipped", async () => {
  const front = await startFront(1);
  const { client, errors } = clientOf(front.url, { fetchRetryDelay: 50 });
  const odd = { price: 3.5, none: null, list: [1, { a: "b" }], "🙂": "👩‍🚀 ﷽ \u0000 ünï", big: "x".repeat(200_000) };
  const timestamp = new Date(Date.now() - 3_600_000);
  client.identify({ distinctId: "ada", properties: { email: "ada@example.com" } });
  client.alias({ distinctId: "ada", alias: "visitor-1" });
  client.groupIdentify({ groupType: "company", groupKey: "acme", properties: { seats: 5 } });
  client.capture({
    distinctId: "ada",
    event: "bought ☕",
    timestamp,
    groups: { company: "acme" },
    properties: { ...odd, $session_id: "s-1", $process_person_profile: false },
  });
  await client.shutdown(60_000);
  front.stop();
  expect(errors).toEqual([]);
  await headwater.waitForQuiet("acme", ["hook"], { accepted: EVENTS + 4 });
  const events = arrived().slice(EVENTS);
  expect(events.map(({ event }) => event).sort()).toEqual([
    "$create_alias",
    "$groupidentify",
    "$identify",
    "bought ☕",
  ]);
  for (const { uuid, source, properties } of events) {
    expect(uuid).toMatch(VERSION_7);
    expect(source).toBe("posthog");
    expect(properties).toMatchObject({ $lib: "posthog-node", $lib_version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  }
  const of = (name: string) => events.find(({ event }) => event === name)!;
  expect(of("$identify")).toMatchObject({
    distinct_id: "ada",
    properties: { $set: { email: "ada@example.com" } },
  });
  expect(of("$create_alias")).toMatchObject({ distinct_id: "ada", properties: { alias: "visitor-1" } });
  expect(of("$groupidentify").properties).toMatchObject({
    $group_type: "company",
    $group_key: "acme",
    $group_set: { seats: 5 },
  });
  const bought = of("bought ☕");
  expect(bought).toMatchObject({
    distinct_id: "ada",
    properties: {
      ...odd,
      $groups: { company: "acme" },
      $session_id: "s-1",
      $process_person_profile: false,
    },
  });
  // Its own clock, corrected by the time that a request takes.
  expect(Math.abs(Date.parse(bought.timestamp) - timestamp.getTime())).toBeLessThan(5_000);
  const [refused, stored] = front.exchanges;
  expect(refused).toMatchObject({ path: V1_PATH, attempt: "1", status: 503, encoding: "gzip" });
  expect(stored).toMatchObject({ path: V1_PATH, attempt: "2", status: 200, requestId: refused?.requestId });
  expect(stored?.echoed).toBe(stored?.requestId);
});

it("an event that Headwater drops is reported to the SDK's user, and its fellows arrive", async () => {
  const before = arrived().length;
  const { client, errors } = clientOf(headwater.capture);
  client.capture({ distinctId: "ada", event: "kept" });
  client.capture({ distinctId: "x".repeat(201), event: "dropped", uuid: uuidOf(900_000) });
  client.capture({
    distinctId: "ada",
    event: "too big",
    uuid: uuidOf(900_001),
    properties: { text: "x".repeat(1_000_000) },
  });
  await client.shutdown(60_000);
  expect(errors).toMatchObject([
    {
      drops: [
        { uuid: uuidOf(900_000), details: "distinct_id_too_large" },
        { uuid: uuidOf(900_001), details: "event_too_big" },
      ],
      retryExhausted: [],
    },
  ]);
  await headwater.waitForQuiet("acme", ["hook"], { accepted: before + 1 });
  expect(arrived().slice(before)).toMatchObject([{ event: "kept" }]);
});

it("a token that no team has is reported with words that help", async () => {
  const client = new PostHog("phc_nobody", { host: headwater.capture });
  const errors: Error[] = [];
  client.on("error", (error: Error) => errors.push(error));
  client.capture({ distinctId: "ada", event: "lost" });
  await client.shutdown(60_000);
  expect(errors).toHaveLength(1);
  expect(String(errors[0]?.cause ?? errors[0])).toContain("invalid_api_token");
});

it("$ai events, which posthog-node keeps on v0, arrive too", async () => {
  const before = arrived().length;
  const { client, errors } = clientOf(headwater.capture);
  client.capture({ distinctId: "ada", event: "$ai_generation", properties: { $ai_model: "m" } });
  await client.shutdown(60_000);
  expect(errors).toEqual([]);
  await headwater.waitForQuiet("acme", ["hook"], { accepted: before + 1 });
  expect(arrived().slice(before)).toMatchObject([{ event: "$ai_generation", properties: { $ai_model: "m" } }]);
});
