import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { UuidV7 } from "../../../shared/uuid.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import type { CaptureContext, Protocol } from "./protocol.ts";

/** What the suite has to know of a protocol. */
export interface ProtocolFixture {
  protocol: Protocol;
  /** A valid request of these events, uncompressed; its route, and its token. */
  body(events: readonly FixtureEvent[]): string;
  route: string;
  token: string;
  /** What every request needs beside its body. */
  headers?: Record<string, string>;
  /** Why a compressed body needs to be announced; absent where it is recognised by itself. */
  announcesGzip?: string;
  /** What a request of it holds; two events if absent. */
  events?: readonly FixtureEvent[];
  /** What the protocol knows beside the request. */
  context?: Partial<CaptureContext>;
  /** Which of the suite's bad bodies it takes all the same, and why; absent where it refuses all of them. */
  takes?: { bodies: readonly string[]; reason: string };
  /** Status of an answer to a body that is over a limit. */
  tooLargeStatus: number;
}

export interface FixtureEvent {
  /** Absent: the client leaves it out. */
  uuid?: string;
  event: string;
  distinct_id: string;
}

export const NOW_MS = Date.UTC(2026, 7, 1, 12, 0, 0);

/** A context on a fixed clock with repeatable random bytes. */
export function aContext(overrides: Partial<CaptureContext> = {}): CaptureContext {
  let seed = 1;
  const uuids = new UuidV7((bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = seed = (seed * 75 + 74) % 65_537;
  });
  return {
    nowMs: NOW_MS,
    route: "/batch",
    params: {},
    query: {},
    client: { ip: "203.0.113.7", geo: undefined },
    limits: DEFAULT_LIMITS,
    openSecret: async () => Promise.reject(new Error("nothing is sealed here")),
    minted: new Set(),
    mintUuid: () => uuids.next(NOW_MS),
    ...overrides,
  };
}

const TWO_EVENTS: FixtureEvent[] = [
  { uuid: "01890a5d-ac96-774b-bcce-b302099a8057", event: "first", distinct_id: "user-1" },
  { uuid: "01890a5d-ac96-774b-bcce-b302099a8058", event: "second", distinct_id: "user-2" },
];
const SMALL_LIMITS = { ...DEFAULT_LIMITS, wireBytes: 1_000, v1WireBytes: 1_000, decompressedBytes: 5_000 };

/** Every protocol passes this. */
export function runProtocolTests(fixture: ProtocolFixture): void {
  const { protocol, route, events: EVENTS = TWO_EVENTS } = fixture;
  const context = (overrides: Partial<CaptureContext> = {}) => aContext({ route, ...fixture.context, ...overrides });
  const request = (body: BodyInit | null, headers: Record<string, string> = {}) =>
    new Request("http://capture.test/", { method: "POST", body, headers: { ...fixture.headers, ...headers } });
  const decode = (body: BodyInit | null, headers?: Record<string, string>) =>
    protocol.decode(request(body, headers), context());
  const failure = async (given: Promise<unknown>) => {
    const error = await given.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(AppError);
    return error as AppError;
  };

  describe(`${protocol.name} as a protocol`, () => {
    it("takes the same body compressed, with and without being told", async () => {
      const plain = await decode(fixture.body(EVENTS));
      const zipped = gzipSync(fixture.body(EVENTS));
      if (fixture.announcesGzip === undefined) expect(await decode(zipped)).toEqual(plain);
      expect(await decode(zipped, { "content-encoding": "gzip" })).toEqual(plain);
    });

    const badBodies: [string, BodyInit | null][] = [
      ["no body", null],
      ["an empty body", ""],
      ["text that is no JSON", "not json"],
      ["JSON that breaks off", '{"a":'],
      ["null", "null"],
      ["a number", "1"],
      ["bytes that are no UTF-8", Uint8Array.of(0x22, 0xff, 0x22)],
      ["gzip that breaks off", gzipSync("{}").subarray(0, -4)],
      ["gzip with damage", Uint8Array.of(0x1f, 0x8b, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 9)],
      ["no events", fixture.body([])],
    ];
    const { bodies: taken, reason } = fixture.takes ?? { bodies: [], reason: "" };
    if (taken.length > 0) it.skip(`refuses ${taken.join(", ")}: ${reason}`, () => {});

    const refusedBodies = badBodies.filter(([what]) => !taken.includes(what));
    it.each(refusedBodies)("answers %s as the client's mistake (invariant 6)", async (_what, body) => {
      const error = await failure(decode(body));
      expect(error.status).toBeGreaterThanOrEqual(400);
      expect(error.status).toBeLessThan(500);
      expect(error.message).not.toBe("");
    });

    it("refuses a body over the cap whatever its headers say, and one that inflates over its own", async () => {
      const limits = SMALL_LIMITS;
      const large = `${fixture.body(EVENTS)}${" ".repeat(limits.wireBytes)}`;
      const bomb = gzipSync(`${fixture.body(EVENTS)}${" ".repeat(limits.decompressedBytes)}`);
      for (const [body, encoding] of [[large], [bomb, { "content-encoding": "gzip" }]] as const) {
        for (const length of [{}, { "content-length": "1" }, { "content-length": "99999999999" }]) {
          const error = await failure(protocol.decode(request(body, { ...encoding, ...length }), context({ limits })));
          expect(error.status).toBe(fixture.tooLargeStatus);
        }
      }
    });

    it("never fails in another way than an AppError below 500 (invariant 6)", async () => {
      const bodies = fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.json().map((json) => new TextEncoder().encode(json)),
        fc.uint8Array({ maxLength: 100 }).map((bytes) => gzipSync(bytes)),
      );
      await fc.assert(
        fc.asyncProperty(bodies, async (bytes) => {
          const decoding = decode(Uint8Array.from(bytes));
          const isTaken = taken.length > 0 && (await decoding.then(Boolean, () => false));
          if (!isTaken) expect((await failure(decoding)).status).toBeLessThan(500);
        }),
        { numRuns: 300 },
      );
    });
  });

  runExchangeTests({
    protocol,
    token: fixture.token,
    events: EVENTS,
    ask: () => ({ request: request(fixture.body(EVENTS)), context: context() }),
    words: (response) => response.text(),
  });
}

/** What the suite has to know of a protocol whose requests have no body. */
export interface ExchangeFixture {
  protocol: Protocol;
  token: string;
  events: readonly FixtureEvent[];
  /** The request of these events, anew each time. */
  ask(): { request: Request; context: CaptureContext };
  /** What an answer says is wrong. */
  words(response: Response): Promise<string> | string;
}

/** The part of the suite that asks nothing of bodies. */
export function runExchangeTests({ protocol, token, events, ask, words }: ExchangeFixture): void {
  const decode = () => {
    const { request, context } = ask();
    return protocol.decode(request, context);
  };

  describe(`an exchange with ${protocol.name}`, () => {
    it("gives the events in the order of the request, with the client's uuids and the token", async () => {
      const decoded = await decode();
      expect(decoded.token).toBe(token);
      expect(decoded.events.map(({ uuid, event, distinct_id }) => ({ uuid, event, distinct_id }))).toEqual(events);
    });

    it("keeps the client's uuids when a request comes again (invariant 7)", async () => {
      const [once, again] = [await decode(), await decode()];
      expect(again.events.map((event) => event.uuid)).toEqual(once.events.map((event) => event.uuid));
    });

    it("fills in what every event has", async () => {
      for (const event of (await decode()).events) {
        expect(event).toMatchObject({ ip: "203.0.113.7", received_at: "2026-08-01T12:00:00.000Z" });
        expect(event.timestamp).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
        expect(event.source).not.toBe("");
      }
    });

    it("answers success with 200", async () => {
      const { request, context } = ask();
      expect((await protocol.success(await decode(), request, context)).status).toBe(200);
    });

    it("answers success with 200 where rules have taken all events out", async () => {
      const decoded = await decode();
      const refused = new Map(decoded.events.map((event) => [event, "restricted"] as const));
      const rest = protocol.without?.(decoded, refused) ?? { ...decoded, events: [] };
      expect(rest.events).toEqual([]);
      const { request, context } = ask();
      expect((await protocol.success(rest, request, context)).status).toBe(200);
    });

    it.each([
      [new AppError("lane_full", 503, "come back later", { retryAfterS: 7 }), "7"],
      [new AppError("wrong_protocol", 403, "this source takes other requests"), null],
    ])("answers a failure with the error's status, text and Retry-After: %s", async (error, retryAfter) => {
      const { request, context } = ask();
      const response = protocol.failure(error, request, context);
      expect([response.status, response.headers.get("retry-after")]).toEqual([error.status, retryAfter]);
      expect(await words(response)).toContain(error.message);
    });
  });
}
