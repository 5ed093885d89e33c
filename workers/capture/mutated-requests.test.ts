import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { canonicalUuid } from "../../shared/uuid.ts";
import type { IngressRecord } from "./accept.ts";
import { DEFAULT_LIMITS } from "./decode/limits.ts";
import { encodeEvents } from "./encode.ts";
import { createIngress } from "./ingress.ts";
import { browserRequests, nodeRequests, type WireRequest, wired } from "./testing/posthog-requests.ts";

/** Raise it for a longer search: FUZZ_RUNS=100000. */
const FUZZ_RUNS = Number(process.env.FUZZ_RUNS ?? 5_000);
const NOW_MS = Date.UTC(2026, 7, 1, 12);
const LIMITS = { ...DEFAULT_LIMITS, decompressedBytes: 100_000, eventBytes: 50_000 };

let requests: WireRequest[] = [];
beforeAll(async () => {
  const sent = [...(await nodeRequests("v0")), ...(await nodeRequests("v1")), ...browserRequests()];
  expect(sent.map(({ path }) => path)).toEqual(expect.arrayContaining(["/batch/", "/i/v1/analytics/events", "/s/"]));
  requests = sent.flatMap(wired);
});

function makeIngress() {
  const appended: Event[] = [];
  const records: IngressRecord[] = [];
  const ingress = createIngress({
    resolve: async (token) => (token === "phc_acme" ? { team: "acme", lanes: 2 } : null),
    append: async (_target, events) => {
      encodeEvents(events, LIMITS);
      appended.push(...events);
    },
    refused: () => {},
    clock: { now: () => NOW_MS },
    fillRandom: (bytes) => void bytes.fill(5),
    timer: () => ({ done: new Promise(() => {}), cancel: () => {} }),
    log: (record) => void records.push(record),
    limits: LIMITS,
  });
  return { ingress, appended, records };
}

function asRequest({ path, headers, body }: WireRequest): Request {
  const init = body.length === 0 ? { method: "GET" } : { method: "POST", body: Uint8Array.from(body) };
  return new Request(`http://capture.test${path}`, { ...init, headers });
}

/** One thing done to the bytes of a body: a byte changed, a piece left out, doubled, or another put in. */
const bodyMutation = fc.record({
  kind: fc.constantFrom("change", "cut", "double", "insert", "truncate"),
  at: fc.nat(),
  length: fc.integer({ min: 1, max: 40 }),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 8 }),
    fc
      .constantFrom(
        '"',
        "{",
        "[",
        "}",
        "]",
        ",",
        ":",
        "null",
        "-1",
        "1e999",
        '"__proto__":',
        "\\ud800",
        "\\u0000",
        "[[[[[[[[",
        "=",
        "&data=",
      )
      .map((text) => new TextEncoder().encode(text)),
  ),
});
const headerMutation = fc.tuple(
  fc.constantFrom(
    ...["content-type", "content-encoding", "authorization", "posthog-attempt", "posthog-request-id"],
    ...["posthog-request-timestamp", "posthog-sdk-info", "user-agent", "content-length"],
  ),
  fc.constantFrom(
    "",
    "gzip",
    "br",
    "lz64",
    "0",
    "-1",
    "application/json",
    "application/x-www-form-urlencoded",
    "Bearer",
    "Bearer phc_other",
  ),
);

type BodyMutation = typeof bodyMutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(body: Uint8Array, { kind, at: anywhere, length, bytes }: BodyMutation): Uint8Array {
  const at = anywhere % (body.length + 1);
  const parts = {
    change: [body.subarray(0, at), bytes, body.subarray(at + bytes.length)],
    cut: [body.subarray(0, at), body.subarray(at + length)],
    double: [body.subarray(0, at + length), body.subarray(at)],
    insert: [body.subarray(0, at), bytes, body.subarray(at)],
    truncate: [body.subarray(0, at)],
  }[kind];
  return Uint8Array.from(Buffer.concat(parts ?? []));
}

/** What the contract promises of every event that is accepted. */
function expectWhole(event: Event): void {
  expect(canonicalUuid(event.uuid)).toBe(event.uuid);
  expect(event.event).not.toBe("");
  expect(event.distinct_id.trim()).not.toBe("");
  expect([...event.distinct_id].length).toBeLessThanOrEqual(200);
  expect(event.timestamp).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  expect(Date.parse(event.timestamp) - NOW_MS).toBeLessThanOrEqual(23 * 3_600_000);
  expect(Object.prototype.toString.call(event.properties)).toBe("[object Object]");
  expect(typeof (event.properties.$cookieless_mode ?? true)).toBe("boolean");
  expect(event.source).toBe("posthog");
}

describe("requests of real SDKs", () => {
  it("are all accepted, in every encoding", async () => {
    expect(requests.length).toBeGreaterThan(30);
    for (const wire of requests) {
      const { ingress, appended, records } = makeIngress();
      const response = await ingress.fetch(asRequest(wire));
      expect([wire.path, response.status, records]).toEqual([wire.path, wire.path.includes("beacon") ? 204 : 200, []]);
      expect(appended.length).toBeGreaterThan(0);
      for (const event of appended) expectWhole(event);
    }
  });

  it("mutated, get an answer below 500, and nothing is accepted that the contract refuses (invariants 1 and 6)", async () => {
    const { ingress, appended, records } = makeIngress();
    const statuses = new Map<number, number>();
    const mutations = fc.array(bodyMutation, { minLength: 1, maxLength: 3 });
    const headers = fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: headerMutation });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(), mutations, headers, async (pick, changes, header) => {
        const wire = requests[pick % requests.length] as WireRequest;
        const body = wire.body.length === 0 ? wire.body : changes.reduce(mutate, wire.body);
        const given = header === null ? wire.headers : { ...wire.headers, [header[0]]: header[1] };
        appended.length = 0;
        const response = await ingress.fetch(asRequest({ ...wire, headers: given, body }));
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        expect(response.status).toBeLessThan(500);
        for (const event of appended) expectWhole(event);
        accepted += appended.length;
        if (response.status >= 300) expect(await response.text()).not.toBe("");
        if (appended.length > 0) expect([200, 204]).toContain(response.status);
      }),
      { numRuns: FUZZ_RUNS },
    );
    expect(records).toEqual([]);
    // The search goes deep: past the codecs, past the parser, and to what is accepted all the same.
    for (const status of [200, 400, 401]) expect(statuses.get(status)).toBeGreaterThan(FUZZ_RUNS / 2_000);
    expect(accepted).toBeGreaterThan(FUZZ_RUNS / 10);
  }, 600_000);
});
