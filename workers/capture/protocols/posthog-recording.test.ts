import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { encodeEvents } from "../encode.ts";
import { aContext } from "./conformance.ts";
import { posthogV0 } from "./posthog-v0.ts";
import type { CaptureContext } from "./protocol.ts";

const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";
const SESSION = "0190b0f0-0000-7000-8000-000000000001";
const aSnapshot = (properties: Record<string, unknown> = {}, overrides: Record<string, unknown> = {}) => ({
  event: "$snapshot",
  distinct_id: "user-1",
  uuid: UUID,
  properties: { token: "phc_acme", $session_id: SESSION, $window_id: "w1", $snapshot_data: [{ n: 1 }], ...properties },
  ...overrides,
});

async function send(body: unknown, headers: Record<string, string> = {}, overrides: Partial<CaptureContext> = {}) {
  const bytes = body instanceof Uint8Array ? body : JSON.stringify(body);
  const request = new Request("http://capture.test/s/", { method: "POST", body: bytes as BodyInit, headers });
  return posthogV0.decode(request, aContext({ route: "/s", ...overrides }));
}

async function answer(body: unknown) {
  const error: unknown = await send(body).catch((thrown: unknown) => thrown);
  return error instanceof AppError ? `${error.status} ${error.message}` : "accepted";
}

describe("a recording", () => {
  it("becomes one event, with what the first says of the session and the snapshots of all", async () => {
    const decoded = await send([
      aSnapshot({ $snapshot_source: "mobile", $lib: "posthog-ios", plan: "pro" }, { offset: 1_500 }),
      aSnapshot({ $session_id: "other", $snapshot_data: { n: 2 } }, { uuid: undefined, distinct_id: "other" }),
      aSnapshot({ $snapshot_data: [{ n: 3 }, { n: 4 }] }),
    ]);
    expect(decoded).toEqual({
      token: "phc_acme",
      events: [
        {
          uuid: UUID,
          event: "$snapshot_items",
          distinct_id: "user-1",
          timestamp: "2026-08-01T11:59:58.500Z",
          properties: {
            distinct_id: "user-1",
            $session_id: SESSION,
            $window_id: "w1",
            $snapshot_source: "mobile",
            $snapshot_items: [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }],
            $lib: "posthog-ios",
          },
          ip: "203.0.113.7",
          received_at: "2026-08-01T12:00:00.000Z",
          source: "posthog",
        },
      ],
    });
  });

  it.each<[string, unknown]>([
    ["one event", aSnapshot()],
    ["a list", [aSnapshot()]],
    ["a batch", { api_key: "phc_acme", batch: [aSnapshot()] }],
    ["gzip", gzipSync(JSON.stringify([aSnapshot()]))],
  ])("is taken as %s", async (_shape, body) => {
    expect((await send(body)).events).toMatchObject([{ event: "$snapshot_items", uuid: UUID }]);
  });

  it.each([
    ["posthog-android/3.1.0 (x)", "posthog-android"],
    ["my-posthog-fork/1", "my-posthog-fork"],
    ["Mozilla/5.0 (X11) posthog/1", "web"],
    ["", "web"],
  ])("of the user agent %j has the window, source and library that follow from it", async (agent, library) => {
    const { events } = await send(aSnapshot({ $window_id: undefined }), { "user-agent": agent });
    expect(events[0]?.properties).toMatchObject({ $window_id: SESSION, $snapshot_source: "web", $lib: library });
  });

  it("keeps the cookieless mode", async () => {
    expect((await send(aSnapshot({ $cookieless_mode: true }))).events[0]?.properties.$cookieless_mode).toBe(true);
  });

  it.each<[string, unknown, string]>([
    ["no session", aSnapshot({ $session_id: undefined }), "400 replay event submitted without session id"],
    ["a null session", aSnapshot({ $session_id: null }), "400 replay event submitted without session id"],
    ["a session that is no text", aSnapshot({ $session_id: 5 }), "400 replay event has invalid session id"],
    ["an empty session", aSnapshot({ $session_id: "" }), "400 replay event has invalid session id"],
    ["a long session", aSnapshot({ $session_id: "x".repeat(71) }), "400 replay event has invalid session id"],
    ["a session with a slash", aSnapshot({ $session_id: "a/b" }), "400 replay event has invalid session id"],
    ["no data", aSnapshot({ $snapshot_data: undefined }), "400 replay event submitted without snapshot data"],
    ["data that is text", aSnapshot({ $snapshot_data: "x" }), "400 replay event submitted without snapshot data"],
    [
      "no data in a later event",
      [aSnapshot(), { ...aSnapshot(), properties: [] }],
      "400 replay event submitted without snapshot data",
    ],
    ["no events", [], "400 request holds no event"],
    ["no user", aSnapshot({}, { distinct_id: undefined }), "400 event submitted without a distinct_id"],
    ["no token", aSnapshot({ token: undefined }), "401 event submitted without an api_key"],
    [
      "a bad cookieless mode",
      aSnapshot({ $cookieless_mode: "yes" }),
      "400 event submitted with invalid cookieless mode",
    ],
    ["a session of 70 characters", aSnapshot({ $session_id: "x".repeat(70) }), "accepted"],
  ])("with %s is answered so", async (_what, body, expected) => {
    expect(await answer(body)).toBe(expected);
  });

  it("may be larger than events may", async () => {
    const limits = { ...DEFAULT_LIMITS, wireBytes: 100, recordingWireBytes: 1_000 };
    expect((await send(aSnapshot(), {}, { limits })).events).toHaveLength(1);
    await expect(send(aSnapshot({ text: "x".repeat(1_000) }), {}, { limits })).rejects.toMatchObject({ status: 413 });
  });
});

describe("a recording over the size of an event", () => {
  const limits = { ...DEFAULT_LIMITS, eventBytes: 2_000 };
  const items = Array.from({ length: 40 }, (_, n) => ({ n, text: "grün🙂".repeat(n % 20) }));
  const split = async (snapshots: unknown[]) => {
    const context = aContext({ route: "/s", limits });
    const decoded = await send([aSnapshot({ $snapshot_data: snapshots })], {}, { limits });
    return posthogV0.salvage!(decoded, context)?.events ?? null;
  };

  it("goes as several of the same session, each within the limit, with all snapshots in their order", async () => {
    const parts = (await split(items))!;
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.flatMap(({ properties }) => properties.$snapshot_items)).toEqual(items);
    for (const part of parts) {
      expect(() => encodeEvents([part], limits)).not.toThrow();
      expect(part).toMatchObject({
        event: "$snapshot_items",
        distinct_id: "user-1",
        properties: { $session_id: SESSION },
      });
    }
    const uuids = parts.map(({ uuid }) => uuid);
    expect([uuids[0], new Set(uuids).size]).toEqual([UUID, parts.length]);
  });

  it("makes the same events when it comes again (invariant 7)", async () => {
    expect(await split(items)).toEqual(await split(items));
  });

  it("is refused whole where one snapshot alone is over it", async () => {
    expect(await split([...items, { text: "x".repeat(2_000) }])).toBeNull();
  });

  it("is refused whole where a snapshot is deeper than the stack, which is no fault of ours", async () => {
    // Names that are numbers keep the runtime from encoding them without recursion.
    const deep = `${'{"0":'.repeat(20_000)}1${"}".repeat(20_000)}`;
    expect(() => JSON.stringify(JSON.parse(deep))).toThrow(RangeError);
    const body = JSON.stringify(aSnapshot({ $snapshot_data: ["DEEP"] })).replace('"DEEP"', deep);
    const decoded = await send(new TextEncoder().encode(body), {}, { limits });
    expect(posthogV0.salvage!(decoded, aContext({ route: "/s", limits }))).toBeNull();
  });

  it("is what only recordings do: another event over the limit refuses its request", async () => {
    const body = JSON.stringify(aSnapshot());
    const request = new Request("http://capture.test/e/", { method: "POST", body });
    const context = aContext({ route: "/e", limits });
    expect(posthogV0.salvage!(await posthogV0.decode(request, context), context)).toBeNull();
  });
});
