import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import type { SourceSnapshot } from "../../shared/snapshot.ts";
import type { IngressRecord } from "./accept.ts";
import { DEFAULT_LIMITS } from "./decode/limits.ts";
import { encodeEvents } from "./encode.ts";
import { createIngress } from "./ingress.ts";
import type { Resolution } from "./resolution.ts";
import { faultsOf, mustBeRefused } from "./testing/contract.ts";
import { mutated, mutation } from "./testing/mutations.ts";
import type { WireRequest } from "./testing/posthog-requests.ts";
import { HOOK_SECRET, HOOKS, seedRequests, TOKEN } from "./testing/seed-requests.ts";

/** Raise it for a longer search: FUZZ_RUNS=100000. */
const FUZZ_RUNS = Number(process.env.FUZZ_RUNS ?? 5_000);
const NOW_MS = Date.UTC(2026, 7, 1, 12);
const LIMITS = { ...DEFAULT_LIMITS, decompressedBytes: 100_000, eventBytes: 50_000 };

let requests: WireRequest[] = [];
beforeAll(async () => {
  requests = await seedRequests();
  const paths = ["/batch/", "/i/v1/analytics/events", "/s/", "/v1/batch", "/v1/track", `/w/${HOOKS.signed}`];
  expect(requests.map(({ path }) => path)).toEqual(expect.arrayContaining(paths));
});

const aHook = (id: keyof typeof HOOKS, verify?: SourceSnapshot["verify"]): [string, Resolution] => {
  const source: SourceSnapshot = {
    ...{ id, protocol: "webhook", tokens: [HOOKS[id]], enabled: true, ip: "keep" },
    ...(verify === undefined ? {} : { verify }),
  };
  return [HOOKS[id], { team: "acme", lanes: 2, source }];
};
const TOKENS = new Map<string, Resolution>([
  [TOKEN, { team: "acme", lanes: 2 }],
  aHook("open"),
  aHook("keyed", { scheme: "secret", header: "x-key", sealed: "v1.sealed" }),
  aHook("signed", { scheme: "github", sealed: "v1.sealed" }),
]);

function makeIngress() {
  const appended: Event[] = [];
  const records: IngressRecord[] = [];
  const ingress = createIngress({
    resolve: async (token) => TOKENS.get(token) ?? null,
    openSecret: async () => HOOK_SECRET,
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

function expectWhole(event: Event): void {
  expect([event, faultsOf(event, NOW_MS)]).toEqual([event, []]);
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
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(mutation, async (change) => {
        const wire = mutated(requests, change);
        appended.length = 0;
        const response = await ingress.fetch(asRequest(wire));
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        expect(response.status).toBeLessThan(500);
        for (const event of appended) expectWhole(event);
        if (mustBeRefused(wire)) expect(appended).toEqual([]);
        accepted += appended.length;
        if (response.status >= 300) expect(await response.text()).not.toBe("");
        if (appended.length > 0) expect([200, 204]).toContain(response.status);
      }),
      { numRuns: FUZZ_RUNS },
    );
    expect(records).toEqual([]);
    // The search goes deep: past the codecs, past the parser, and to what is accepted all the same.
    for (const status of [200, 400, 401, 415]) expect(statuses.get(status)).toBeGreaterThan(FUZZ_RUNS / 2_000);
    expect(accepted).toBeGreaterThan(FUZZ_RUNS / 10);
  }, 600_000);
});
