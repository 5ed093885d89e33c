import { Agent, request } from "node:http";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Headwater, startHeadwater } from "./headwater.ts";

/** Requests; CI sends 100,000. */
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 4_000);
/** Requests under way at once. */
const CONCURRENCY = 32;
const TOKEN = "phc_fuzz";

interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer;
}

let headwater: Headwater;
beforeAll(async () => {
  const destinations = [{ id: "print", kind: "terminal" }];
  headwater = await startHeadwater({ config: { teams: [{ id: "acme", tokens: [TOKEN], destinations }] } });
});
afterAll(async () => {
  await headwater?.stop();
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
    arbitrary: fc.constantFrom("/batch", "/batch/", "/e", "/e/", "/i/v0/e/", "/capture", "/track/", "/engage"),
  },
  { weight: 1, arbitrary: fc.constantFrom("/", "/_liveness", "/metrics", "/api/config", "/i/v1/analytics/events") },
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
const fuzzRequest: fc.Arbitrary<FuzzRequest> = fc.record({
  method: fc.oneof(
    { weight: 9, arbitrary: fc.constant("POST") },
    { weight: 1, arbitrary: fc.constantFrom("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH") },
  ),
  path: fc.tuple(path, query).map(([where, what]) => where + what),
  headers,
  body: bytes,
});

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
  const stream = fc.sample(fuzzRequest, { numRuns: REQUESTS, seed });
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  const statuses: Record<number, number> = {};
  const failures: string[] = [];
  const workers = Array.from({ length: CONCURRENCY }, async () => {
    for (let next = stream.pop(); next !== undefined; next = stream.pop()) {
      const outcome = await send(agent, next).catch((error: Error) => error.message);
      if (typeof outcome === "number") statuses[outcome] = (statuses[outcome] ?? 0) + 1;
      if (typeof outcome === "string" || outcome >= 500) {
        failures.push(
          `${outcome}: ${next.method} ${next.path} ${JSON.stringify(next.headers)} ${next.body.toString("base64").slice(0, 300)}`,
        );
      }
    }
  });
  await Promise.all(workers);
  agent.destroy();
  console.log(`seed ${seed}, answers ${JSON.stringify(statuses)}`);
  expect(failures.slice(0, 5)).toEqual([]);
  // Requests that nothing accepts would prove nothing.
  expect(statuses[200]).toBeGreaterThan(REQUESTS / 100);
  expect((await headwater.send({ api_key: TOKEN, batch: [{ event: "alive", distinct_id: "u" }] })).status).toBe(200);
});
