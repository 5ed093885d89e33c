import { Agent, createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { faultsOf, mustBeRefused } from "../../workers/capture/testing/contract.ts";
import { mutated, mutation } from "../../workers/capture/testing/mutations.ts";
import type { WireRequest } from "../../workers/capture/testing/posthog-requests.ts";
import { HOOK_SECRET, HOOKS, seedRequests, TOKEN } from "../../workers/capture/testing/seed-requests.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";

/** Requests; CI sends 100,000, `npm run fuzz` 200,000. */
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 4_000);
/** Made at a time, so that they need not all be there at once. */
const PART_COUNT = 2_000;
/** Requests under way at once. */
const CONCURRENCY = 32;

interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  /** Whether the contract refuses all of it, as far as that is known apart from the product. */
  refused: boolean;
}

/** Everything that was delivered, held to the contract as it comes. */
const delivered = { events: 0, faults: [] as string[] };
let sink: Server;
let headwater: Headwater;

beforeAll(async () => {
  sink = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const events = JSON.parse(Buffer.concat(chunks).toString()) as Event[];
      delivered.events += events.length;
      for (const event of events) {
        const faults = faultsOf(event, Date.now());
        if (faults.length > 0) delivered.faults.push(`${faults.join(", ")}: ${JSON.stringify(event).slice(0, 500)}`);
      }
      response.end();
    });
  });
  await new Promise<void>((resolve) => sink.listen(0, "127.0.0.1", resolve));
  const hook = { protocol: "webhook", tokens: [HOOKS.open] };
  const sources = [
    { ...hook, id: "open" },
    { ...hook, id: "keyed", tokens: [HOOKS.keyed], verify: { scheme: "secret", header: "x-key", secret: HOOK_SECRET } },
    { ...hook, id: "signed", tokens: [HOOKS.signed], verify: { scheme: "github", secret: HOOK_SECRET } },
  ];
  const url = `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`;
  const destinations = [{ id: "hook", kind: "webhook", url, batch: { max_events: 500 } }];
  headwater = await startHeadwater({ config: { teams: [{ id: "acme", tokens: [TOKEN], sources, destinations }] } });
});

afterAll(async () => {
  await headwater?.stop();
  sink?.closeAllConnections();
  sink?.close();
});

const text = fc.string({ unit: "binary", maxLength: 40 });
const field = fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) });
const event = fc.record(
  {
    event: fc.oneof(fc.constantFrom("$pageview", "$identify", "$performance_event", ""), field),
    distinct_id: field,
    uuid: fc.oneof(fc.uuid(), field),
    timestamp: fc.oneof(
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      field,
    ),
    offset: field,
    api_key: fc.oneof(fc.constant(TOKEN), field),
    properties: fc.oneof(fc.dictionary(text, fc.jsonValue({ maxDepth: 4 }), { maxKeys: 6 }), field),
    $set: field,
  },
  { requiredKeys: [] },
);
const body = fc.oneof(
  event,
  fc.array(event, { maxLength: 5 }),
  fc.record({
    api_key: fc.oneof(fc.constant(TOKEN), field),
    batch: fc.oneof(fc.array(event, { maxLength: 5 }), field),
  }),
  fc.jsonValue({ maxDepth: 6 }),
);
const json = body.map((value) => Buffer.from(JSON.stringify(value)));
const bytes = fc.oneof(
  { weight: 6, arbitrary: json },
  { weight: 2, arbitrary: json.map((whole) => gzipSync(whole)) },
  // Cut short, and with a byte changed.
  { weight: 1, arbitrary: fc.tuple(json, fc.nat(200)).map(([whole, at]) => gzipSync(whole).subarray(0, at)) },
  {
    weight: 1,
    arbitrary: fc.tuple(json, fc.nat(), fc.nat(255)).map(([whole, at, byte]) => {
      const changed = Buffer.from(whole);
      if (changed.length > 0) changed[at % changed.length] = byte;
      return changed;
    }),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)) },
);
const path = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      ...["/batch", "/batch/", "/e", "/e/", "/i/v0/e/", "/capture", "/track/", "/engage"],
      "/v1/batch",
      "/v1/track",
      `/w/${HOOKS.open}`,
      `/w/${HOOKS.signed}`,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "/",
      "/_liveness",
      "/metrics",
      "/api/config",
      "/i/v1/analytics/events",
      "/s/",
      "/flags",
      "/p/phc_acme.gif",
    ),
  },
  { weight: 1, arbitrary: fc.webPath() },
);
const query = fc.oneof(
  { weight: 4, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: fc.webQueryParameters().map((parameters) => `?${parameters}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "?compression=gzip",
      "?compression=lz64",
      "?_=1700000000000",
      "?beacon=1",
      "?data=e30%3D",
    ),
  },
);
const headers = fc
  .record(
    {
      "content-type": fc.oneof(
        fc.constantFrom("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"),
        fc.string({ maxLength: 20 }).map(printable),
      ),
      "content-encoding": fc.constantFrom("gzip", "br", "deflate", "gzip-js", "lz64", "x"),
      origin: fc.constantFrom("https://example.com", "null", "x"),
      "x-forwarded-for": fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 20 }).map(printable)),
      "access-control-request-headers": fc.string({ maxLength: 20 }).map(printable),
      "user-agent": fc.string({ maxLength: 30 }).map(printable),
    },
    { requiredKeys: [] },
  )
  .map((record) => record as Record<string, string>);
const generated: fc.Arbitrary<FuzzRequest> = fc.record({
  method: fc.oneof(
    { weight: 9, arbitrary: fc.constant("POST") },
    { weight: 1, arbitrary: fc.constantFrom("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH") },
  ),
  path: fc.tuple(path, query).map(([where, what]) => where + what),
  headers,
  body: bytes,
  refused: fc.constant(false),
});

/** Headers of the connection itself are the client library's. */
const FRAMING = new Set(["content-length", "host", "connection", "transfer-encoding"]);

/** A request of a real SDK or service, damaged. */
function damaged(seeds: readonly WireRequest[]): fc.Arbitrary<FuzzRequest> {
  return mutation.map((change) => {
    const wire = mutated(seeds, change);
    const fields = Object.entries(wire.headers).filter(([name]) => !FRAMING.has(name.toLowerCase()));
    return {
      method: wire.body.length === 0 ? "GET" : "POST",
      path: wire.path,
      headers: Object.fromEntries(fields),
      body: Buffer.from(wire.body),
      refused: mustBeRefused(wire),
    };
  });
}

/** What a header may hold. */
function printable(value: string): string {
  return value.replaceAll(/[^\t\x20-\x7e]/g, "").trim();
}

function send(agent: Agent, { method, path: where, headers: fields, body: content }: FuzzRequest): Promise<number> {
  const { hostname, port } = new URL(headwater.capture);
  return new Promise((resolve, reject) => {
    const sent = request(
      { agent, hostname, port, method, path: where, headers: { ...fields, "content-length": content.length } },
      (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
        response.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(content);
  });
}

it(`invariant 6: ${REQUESTS} generated requests give no 5xx and the process goes on`, async () => {
  const seed = Number(process.env.FUZZ_SEED ?? Math.trunc(Math.random() * 2 ** 31));
  const requests = fc.oneof(
    { weight: 1, arbitrary: generated },
    { weight: 2, arbitrary: damaged(await seedRequests()) },
  );
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  const statuses: Record<number, number> = {};
  const failures: string[] = [];
  for (let made = 0; made < REQUESTS; made += PART_COUNT) {
    const part = fc.sample(requests, { numRuns: Math.min(PART_COUNT, REQUESTS - made), seed: seed + made });
    const workers = Array.from({ length: CONCURRENCY }, async () => {
      for (let next = part.pop(); next !== undefined; next = part.pop()) {
        const outcome = await send(agent, next).catch((error: Error) => error.message);
        if (typeof outcome === "number") statuses[outcome] = (statuses[outcome] ?? 0) + 1;
        const isTaken = typeof outcome === "number" && outcome < 300 && next.method === "POST";
        if (typeof outcome === "string" || outcome >= 500 || (isTaken && next.refused)) {
          failures.push(
            `${outcome}: ${next.method} ${next.path} ${JSON.stringify(next.headers)} ${next.body.toString("base64").slice(0, 300)}`,
          );
        }
      }
    });
    await Promise.all(workers);
  }
  agent.destroy();
  console.log(`seed ${seed}, answers ${JSON.stringify(statuses)}`);
  expect(failures.slice(0, 5)).toEqual([]);
  // Requests that nothing accepts would prove nothing.
  expect(statuses[200]).toBeGreaterThan(REQUESTS / 50);
  expect((await headwater.send({ api_key: TOKEN, batch: [{ event: "alive", distinct_id: "u" }] })).status).toBe(200);
}, 3_600_000);

it("nothing is accepted that the contract refuses, and all that is accepted arrives (invariant 5)", async () => {
  const { hook } = await headwater.waitForQuiet("acme", ["hook"], { timeoutMs: 600_000 });
  console.log(`${delivered.events} events delivered`);
  expect(hook && imbalance(hook)).toBe(0);
  expect(hook).toMatchObject({ delivered: delivered.events, dead: 0, dropped: 0, expired: 0 });
  expect(delivered.events).toBeGreaterThan(REQUESTS / 50);
  expect(delivered.faults.slice(0, 5)).toEqual([]);
}, 900_000);
