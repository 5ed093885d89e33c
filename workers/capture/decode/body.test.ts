import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { compressionNamed, decodeBody, readBody } from "./body.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

const limits = { ...DEFAULT_LIMITS, wireBytes: 1_000, decompressedBytes: 5_000 };

/** A body that arrives in pieces; `pulled` counts those that were asked for. */
function inPieces(pieces: (Uint8Array | Error)[]) {
  const state = { pulled: 0, cancelled: false };
  const body = new ReadableStream(
    {
      type: "bytes",
      pull(controller) {
        const piece = pieces[state.pulled++];
        if (piece === undefined) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else if (piece instanceof Error) controller.error(piece);
        else controller.enqueue(piece);
      },
      cancel() {
        state.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { state, body };
}

function aRequest(body: BodyInit | ReadableStream | null, headers: Record<string, string> = {}) {
  return new Request("http://capture.test/", { method: "POST", body, headers, duplex: "half" } as RequestInit);
}

async function answer(work: Promise<unknown>) {
  const error: unknown = await work.catch((thrown: unknown) => thrown);
  return error instanceof AppError ? `${error.status} ${error.message}` : error;
}

describe("decodeBody", () => {
  it.each<[string, BodyInit, "gzip" | null]>([
    ["plain text", "héllo", null],
    ["plain text after a byte order mark", "\ufeffhéllo", null],
    ["gzip with a hint", gzipSync("héllo"), "gzip"],
    ["gzip without a hint", gzipSync("héllo"), null],
  ])("reads %s", async (_what, body, hint) => {
    expect(await decodeBody(aRequest(body), hint, limits)).toBe("héllo");
  });

  it("reads a long gzip stream whole", async () => {
    const text = Array.from({ length: 60_000 }, (_, i) => (i * 7919).toString(36)).join(" ");
    const zipped = gzipSync(text);
    expect(zipped.length).toBeGreaterThan(100_000);
    expect(await decodeBody(aRequest(zipped), null, DEFAULT_LIMITS)).toBe(text);
  });

  it.each<[string, BodyInit | null, "gzip" | null, string]>([
    ["no body", null, null, "400 request missing data payload"],
    ["an empty body", "", "gzip", "400 request missing data payload"],
    ["text that is called gzip", "{}", "gzip", "400 failed to decode request: invalid GZIP data"],
    ["gzip cut off", gzipSync("{}").subarray(0, 12), null, "400 failed to decode request: invalid GZIP data"],
    ["bad UTF-8", Uint8Array.of(0xc3, 0x28), null, "400 failed to decode request: invalid UTF8 in request payload"],
    [
      "bad UTF-8 in gzip",
      gzipSync(Uint8Array.of(0xff)),
      null,
      "400 failed to decode request: invalid UTF8 in request payload",
    ],
    [
      "a body over the cap",
      "x".repeat(1_001),
      null,
      "413 maximum event size exceeded: the request body is larger than 1000 bytes",
    ],
    [
      "gzip that inflates over the cap",
      gzipSync("x".repeat(5_001)),
      null,
      "413 maximum event size exceeded: Decompressed payload would exceed 5000 bytes",
    ],
  ])("refuses %s", async (_what, body, hint, expected) => {
    expect(await answer(decodeBody(aRequest(body), hint, limits))).toBe(expected);
  });

  it("takes bodies of exactly the caps", async () => {
    expect(await decodeBody(aRequest("x".repeat(1_000)), null, limits)).toHaveLength(1_000);
    expect(await decodeBody(aRequest(gzipSync("x".repeat(5_000))), null, limits)).toHaveLength(5_000);
  });

  it("gives up on a bomb long before it is inflated", async () => {
    const bomb = gzipSync(new Uint8Array(400 * 1024 * 1024), { level: 1 });
    const before = process.memoryUsage().rss;
    const wide = { ...DEFAULT_LIMITS, decompressedBytes: 10 * 1024 * 1024 };
    expect(await answer(decodeBody(aRequest(bomb), null, wide))).toMatch(/^413 /);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
  });

  it("says that an upload broke off", async () => {
    const { body } = inPieces([new Uint8Array(10), new Error("connection reset")]);
    expect(await answer(decodeBody(aRequest(body), null, limits))).toBe(
      "400 failed to decode request: the body ended before it was complete",
    );
  });
});

describe("readBody", () => {
  const pieces = (count: number) => Array.from({ length: count }, () => new Uint8Array(400));

  it("refuses a declared length far over the cap without reading", async () => {
    const { body, state } = inPieces(pieces(10));
    const request = aRequest(body, { "content-length": "2001" });
    expect(await answer(readBody(request, 1_000))).toMatch(/^413 /);
    expect(state.pulled).toBe(0);
  });

  it("reads a body a little over the cap to its end, so that the client is there for the answer", async () => {
    const { body, state } = inPieces(pieces(4));
    expect(await answer(readBody(aRequest(body), 1_000))).toMatch(/^413 /);
    expect(state).toEqual({ pulled: 5, cancelled: false });
  });

  it("stops reading a body that goes on and on", async () => {
    const { body, state } = inPieces(pieces(1_000));
    expect(await answer(readBody(aRequest(body), 1_000))).toMatch(/^413 /);
    expect(state.cancelled).toBe(true);
    expect(state.pulled).toBeLessThan(8);
  });

  it.each(["abc", "-5", "1e3", "", "0x10", "9".repeat(30)])(
    "reads by the stream where Content-Length is %j",
    async (length) => {
      expect(await readBody(aRequest("x".repeat(900), { "content-length": length }), 1_000)).toHaveLength(900);
      expect(await answer(readBody(aRequest("x".repeat(1_001), { "content-length": length }), 1_000))).toMatch(/^413 /);
    },
  );

  it("does not believe a Content-Length that is too small", async () => {
    expect(await answer(readBody(aRequest("x".repeat(1_001), { "content-length": "1" }), 1_000))).toMatch(/^413 /);
  });
});

describe("compressionNamed", () => {
  it.each([
    ["gzip", "gzip"],
    ["GZIP-JS", "gzip"],
    [" gzip ", "gzip"],
    ["lz64", "lz64"],
    ["LZ-String", "lz64"],
    ["base64", "base64"],
    ["B64", "base64"],
    ["br", null],
    ["", null],
    [undefined, null],
    [null, null],
  ])("of %j is %j", (name, expected) => {
    expect(compressionNamed(name)).toBe(expected);
  });
});
