import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { aContext, runExchangeTests } from "./conformance.ts";
import { pixel } from "./pixel.ts";
import type { CaptureContext } from "./protocol.ts";

const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";
const GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==";
const valid = { event: "opened", distinct_id: "user-1" };

interface Asked {
  query?: Record<string, string | string[] | undefined>;
  file?: string;
  headers?: Record<string, string>;
  context?: Partial<CaptureContext>;
}

const request = (headers: Record<string, string> = {}) =>
  new Request("http://capture.test/p/phc_acme.gif", { headers });
const contextOf = ({ query = valid, file = "phc_acme.gif", context = {} }: Asked) =>
  aContext({ route: "/p/:file", params: { file }, query, ...context });
const decode = (asked: Asked = {}) => pixel.decode(request(asked.headers), contextOf(asked));

async function refused(asked: Asked) {
  const error: unknown = await decode(asked).catch((thrown: unknown) => thrown);
  if (!(error instanceof AppError)) throw new Error("it was taken");
  const response = pixel.failure(error, request(), contextOf(asked));
  expect(Buffer.from(await response.arrayBuffer()).toString("base64")).toBe(GIF);
  expect(response.headers.get("content-type")).toBe("image/gif");
  expect(response.headers.get("cache-control")).toBe("no-store");
  return [response.status, response.headers.get("x-error")];
}

// What the rest of the suite asks of bodies is asked here of the address.
runExchangeTests({
  protocol: pixel,
  token: "phc_acme",
  events: [{ uuid: UUID, ...valid }],
  ask: () => ({ request: request(), context: contextOf({ query: { uuid: UUID, ...valid } }) }),
  words: (response) => response.headers.get("x-error") ?? "",
});

describe("pixel", () => {
  it("answers success with the image of 43 bytes, which no cache keeps", async () => {
    const response = await pixel.success(await decode(), request(), contextOf({}));
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual({ "content-type": "image/gif", "cache-control": "no-store" });
    const bytes = Buffer.from(await response.arrayBuffer());
    expect([bytes.length, bytes.toString("base64")]).toEqual([43, GIF]);
  });

  it("makes one event of the address", async () => {
    const query = {
      ...valid,
      uuid: UUID,
      timestamp: "2026-07-31T10:00:00Z",
      properties: '{"plan":"pro","campaign":"json"}',
      campaign: "query",
      tag: ["a", "b"],
    };
    const headers = { referer: "https://shop.example/a", "user-agent": "Mail/1" };
    expect(await decode({ query, headers, context: { client: { ip: null, geo: undefined } } })).toEqual({
      token: "phc_acme",
      events: [
        {
          uuid: UUID,
          event: "opened",
          distinct_id: "user-1",
          timestamp: "2026-07-31T10:00:00.000Z",
          properties: {
            $current_url: "https://shop.example/a",
            $raw_user_agent: "Mail/1",
            plan: "pro",
            campaign: "json",
            tag: ["a", "b"],
          },
          ip: null,
          received_at: "2026-08-01T12:00:00.000Z",
          source: "pixel",
        },
      ],
    });
  });

  it("fills in what is left out", async () => {
    const [event] = (await decode()).events;
    expect(event).toMatchObject({ timestamp: "2026-08-01T12:00:00.000Z", properties: {}, ip: "203.0.113.7" });
    expect(event?.uuid).toMatch(/^[\da-f-]{36}$/);
  });

  it("keeps a __proto__ key as data", async () => {
    const query = Object.assign(Object.create(null), valid, { properties: '{"__proto__":{"a":1}}' });
    const [event] = (await decode({ query })).events;
    expect(JSON.stringify(event?.properties)).toBe('{"__proto__":{"a":1}}');
  });

  it("reads a token that the address has encoded", async () => {
    expect((await decode({ file: "key%3Asecret.gif" })).token).toBe("key:secret");
  });

  it.each<[string, Asked, number, string]>([
    ["no event", { query: { distinct_id: "u" } }, 400, "event submitted with an empty event name"],
    ["no user", { query: { event: "x" } }, 400, "event submitted without a distinct_id"],
    ["a blank user", { query: { ...valid, distinct_id: " " } }, 400, "event submitted without a distinct_id"],
    ["a bad uuid", { query: { ...valid, uuid: "x" } }, 400, "failed to parse request: uuid is not a UUID"],
    [
      "properties in a list",
      { query: { ...valid, properties: "[]" } },
      400,
      "failed to parse request: properties must be an object",
    ],
    ["no token", { file: ".gif" }, 401, "API key is not valid: empty"],
    ["a personal key", { file: "phx_1.gif" }, 401, "API key is not valid: personal_api_key"],
    ["another kind of image", { file: "phc_acme.png" }, 400, "failed to parse request: the path must end in .gif"],
  ])("answers %s with the image, the status and the reason in a header", async (_what, asked, status, text) => {
    expect(await refused(asked)).toEqual([status, text]);
  });

  it("says what is wrong with JSON in a header that can be sent", async () => {
    const [status, text] = await refused({ query: { ...valid, properties: "ü\n" } });
    expect(status).toBe(400);
    expect(text).toMatch(/^failed to parse request: [\x20-\x7e]+$/);
  });

  it("never fails in another way than an AppError below 500 (invariant 6)", async () => {
    const query = fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom("event", "distinct_id", "uuid", "timestamp", "properties", "__proto__")),
      fc.oneof(fc.string(), fc.json(), fc.array(fc.string(), { minLength: 1, maxLength: 2 })),
    );
    await fc.assert(
      fc.asyncProperty(query, fc.string(), async (query, file) => {
        const error: unknown = await decode({ query, file }).catch((thrown: unknown) => thrown);
        if (!(error instanceof Error)) return;
        expect(error).toBeInstanceOf(AppError);
        expect((error as AppError).status).toBeLessThan(500);
        expect(() => pixel.failure(error as AppError, request(), contextOf({}))).not.toThrow();
      }),
      { numRuns: 500 },
    );
  });
});
