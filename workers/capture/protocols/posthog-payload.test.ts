import { deflateSync, gzipSync } from "node:zlib";
import lzString from "lz-string";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { aContext } from "./conformance.ts";
import { posthogV0 } from "./posthog-v0.ts";

const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";
// Long enough for characters of all kinds in base64, `+` and `/` among them.
const EVENT = {
  token: "phc_acme",
  event: "café ~?>~?>",
  distinct_id: "user-1",
  uuid: UUID,
  properties: { "÷": "ûÿ".repeat(99) },
};
const JSON_TEXT = JSON.stringify(EVENT);
const FORM = "application/x-www-form-urlencoded";

const base64 = (data: string | Uint8Array) => Buffer.from(data).toString("base64");
const lz64 = lzString.compressToBase64(JSON_TEXT);
const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString();
/** As clients do that escape nothing: the server reads each plus as a space. */
const unescaped = (data: string) => `data=${data}`;

interface Sent {
  path?: string;
  query?: Record<string, string>;
  type?: string;
  encoding?: string;
  body?: BodyInit;
}

async function send({ path = "/e", query = {}, type, encoding, body }: Sent) {
  const headers: Record<string, string> = {};
  if (type !== undefined) headers["content-type"] = type;
  if (encoding !== undefined) headers["content-encoding"] = encoding;
  const method = body === undefined ? "GET" : "POST";
  const request = new Request(`http://capture.test${path}`, { method, headers, body: body ?? null });
  // A text body gives a request a type that the test did not ask for.
  if (type === undefined) request.headers.delete("content-type");
  const limits = { ...DEFAULT_LIMITS, decompressedBytes: 10_000 };
  const context = aContext({ route: path, query, limits });
  try {
    return await posthogV0.decode(request, context);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.status} ${error.message}`;
  }
}

const ALL_PATHS = ["/batch", "/i/v0/e", "/e", "/capture", "/track", "/engage"];

describe("a v0 payload", () => {
  it("has base64 in which each way of writing it differs", () => {
    expect(base64(JSON_TEXT)).toMatch(/\+.*\/|\/.*\+/);
    expect(lz64).toContain("+");
  });

  it.each<[string, Sent]>([
    ["JSON", { body: JSON_TEXT }],
    ["JSON as text/plain", { body: JSON_TEXT, type: "text/plain" }],
    ["JSON as octets", { body: JSON_TEXT, type: "application/octet-stream" }],
    ["JSON with an encoding that is unknown here", { body: JSON_TEXT, query: { compression: "snappy" } }],
    ["gzip as text/plain, as browsers send it", { body: gzipSync(JSON_TEXT), type: "text/plain" }],
    ["gzip by Content-Encoding", { body: gzipSync(JSON_TEXT), encoding: "gzip" }],
    ["gzip by the query", { body: gzipSync(JSON_TEXT), query: { compression: "gzip" } }],
    ["gzip-js by the query, in capitals", { body: gzipSync(JSON_TEXT), query: { compression: "GZIP-JS" } }],
    ["gzip that is called something else", { body: gzipSync(JSON_TEXT), query: { compression: "lz64" } }],
    ["base64", { body: base64(JSON_TEXT) }],
    ["base64 that says so", { body: base64(JSON_TEXT), query: { compression: "base64" } }],
    ["base64 that says so by Content-Encoding", { body: base64(JSON_TEXT), encoding: "b64" }],
    ["base64 of gzip", { body: base64(gzipSync(JSON_TEXT)) }],
    ["a form of JSON", { body: form({ data: JSON_TEXT }), type: FORM }],
    ["a form of JSON with a charset in its type", { body: form({ data: JSON_TEXT }), type: `${FORM}; charset=UTF-8` }],
    ["a form whose data comes later", { body: form({ ip: "1", ver: "2", data: JSON_TEXT }), type: FORM }],
    [
      "a form of base64 that says so in the query",
      { body: form({ data: base64(JSON_TEXT) }), type: FORM, query: { compression: "base64" } },
    ],
    [
      "a form of base64 that says so itself",
      { body: form({ data: base64(JSON_TEXT), compression: "base64" }), type: FORM },
    ],
    [
      "a form of base64 that has lost its pluses",
      { body: unescaped(base64(JSON_TEXT)), type: FORM, query: { compression: "b64" } },
    ],
    ["lz-string", { body: lz64, query: { compression: "lz64" } }],
    ["lz-string by its other name", { body: lz64, query: { compression: "lz-string" } }],
    ["lz-string by Content-Encoding", { body: lz64, encoding: "lz64" }],
    ["a form of lz-string", { body: form({ data: lz64, compression: "lz64" }), type: FORM }],
    [
      "a form of lz-string that has lost its pluses",
      { body: unescaped(lz64), type: FORM, query: { compression: "lz64" } },
    ],
    ["data in the query", { query: { data: JSON_TEXT } }],
    ["base64 in the query", { query: { data: base64(JSON_TEXT) } }],
    ["base64 in the query that has lost its pluses", { query: { data: base64(JSON_TEXT).replaceAll("+", " ") } }],
    ["lz-string in the query", { query: { data: lz64, compression: "lz64" } }],
    ["the query before the body", { query: { data: JSON_TEXT }, body: "{}" }],
    ["the body where data is empty", { query: { data: "" }, body: JSON_TEXT }],
  ])("is read from %s, on every path", async (_what, sent) => {
    for (const path of ALL_PATHS) {
      const decoded = await send({ ...sent, path });
      expect(decoded).toMatchObject({ token: "phc_acme", events: [{ uuid: UUID, event: EVENT.event }] });
    }
  });

  it.each<[string, Sent]>([
    ["base64 twice", { body: base64(base64(JSON_TEXT)) }],
    ["base64 in a form that does not say so", { body: form({ data: base64(JSON_TEXT) }), type: FORM }],
  ])("is read from %s on the paths of old SDKs only", async (_what, sent) => {
    for (const path of ["/e", "/capture", "/track", "/engage"]) {
      expect(await send({ ...sent, path })).toMatchObject({ events: [{ uuid: UUID }] });
    }
    for (const path of ["/batch", "/i/v0/e"]) {
      expect(await send({ ...sent, path })).toMatch(/^400 failed to parse request: /);
    }
  });

  it.each<[string, Sent, string]>([
    ["GET without data", {}, "400 request missing data payload"],
    ["a form without data", { body: "ip=1", type: FORM }, "400 request missing data payload"],
    ["a form with empty data", { body: "data=", type: FORM }, "400 request missing data payload"],
    [
      "JSON that calls itself a form",
      { body: JSON_TEXT, type: FORM },
      "400 failed to decode request: expected form data in POST request payload",
    ],
    [
      "JSON that calls itself gzip",
      { body: JSON_TEXT, query: { compression: "gzip" } },
      "400 failed to decode request: invalid GZIP data",
    ],
    [
      "a form that calls itself gzip",
      { body: form({ data: JSON_TEXT, compression: "gzip" }), type: FORM },
      "400 failed to decode request: invalid GZIP data",
    ],
    [
      "JSON that calls itself lz-string",
      { body: JSON_TEXT, query: { compression: "lz64" } },
      "400 failed to decode request: invalid LZ64 data",
    ],
    [
      "deflate, which only v1 takes",
      { body: deflateSync(JSON_TEXT), encoding: "deflate" },
      "400 failed to decode request: invalid UTF8 in request payload",
    ],
    [
      "base64 of what is no text",
      { body: base64(Uint8Array.of(0x7b, 0xff, 0xfe)) },
      "400 failed to decode request: invalid UTF8 in request payload",
    ],
    [
      "gzip that inflates over the cap",
      { body: gzipSync(" ".repeat(10_001)) },
      "413 maximum event size exceeded: Decompressed payload would exceed 10000 bytes",
    ],
    [
      "lz-string that inflates over the cap",
      { body: lzString.compressToBase64(" ".repeat(5_001)), encoding: "lz64" },
      "413 maximum event size exceeded: Decompressed payload would exceed 10000 bytes",
    ],
  ])("is refused as %s", async (_what, sent, expected) => {
    expect(await send(sent)).toBe(expected);
  });
});
