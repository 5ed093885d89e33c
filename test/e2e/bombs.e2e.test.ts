import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Transform } from "node:stream";
import zlib from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lz64Bomb } from "../../workers/capture/testing/lz64-bomb.ts";
import { type Headwater, startHeadwater } from "./headwater.ts";

const MIB = 1024 * 1024;
const BOMB_MIB = 1_024;
/** What the contract allows a bomb of 1 GB to cost. */
const GROWTH_BYTES = 64 * MIB;
/** As many as a path takes at all, which makes what may come out of them the most. */
const V0_NOISE_MIB = 14;
const V1_NOISE_MIB = 5;
const V1_HEADERS = {
  authorization: "Bearer phc_acme",
  "content-type": "application/json",
  "posthog-sdk-info": "test/1.0.0",
  "posthog-attempt": "1",
  "posthog-request-id": "0190b0f0-0000-7000-8000-000000000001",
  "posthog-request-timestamp": "2026-08-01T12:00:00Z",
};

/** `noise` first: what cannot be packed makes the body large, and so its limit. */
async function packed(stream: Transform, noiseMib: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = once(stream, "end");
  const write = async (bytes: Buffer) => stream.write(bytes) || once(stream, "drain");
  for (let n = 0; n < noiseMib; n++) await write(randomBytes(MIB));
  const zeros = Buffer.alloc(MIB);
  for (let n = 0; n < BOMB_MIB; n++) await write(zeros);
  stream.end();
  await ended;
  return Buffer.concat(chunks);
}

const gzip = (noiseMib: number) => packed(zlib.createGzip({ level: 1 }), noiseMib);
const deflate = (noiseMib: number) => packed(zlib.createDeflate({ level: 1 }), noiseMib);
const br = (noiseMib: number) =>
  packed(zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }), noiseMib);
const zstd = (noiseMib: number) => packed(zlib.createZstdCompress(), noiseMib);

/** What the last bytes of a gzip stream say of its size. */
function lying(bomb: Buffer): Buffer {
  bomb.writeUInt32LE(1_000, bomb.length - 4);
  return bomb;
}

interface Bomb {
  path: string;
  /** Sends it without saying how long it is. */
  chunked?: boolean;
  headers?: Record<string, string>;
  body: () => Promise<Uint8Array | string>;
}

const v0 = (body: Bomb["body"], path = "/e/"): Bomb => ({ path, body });
const v1 = (encoding: string, body: Bomb["body"]): Bomb => ({
  path: "/i/v1/analytics/events",
  headers: { ...V1_HEADERS, "content-encoding": encoding },
  body,
});
const hook = (encoding: string, body: Bomb["body"]): Bomb => ({
  path: "/w/hook",
  headers: { "content-encoding": encoding },
  body,
});

const BOMBS: Record<string, Bomb> = {
  gzip: v0(() => gzip(0)),
  "gzip that lies about its size": v0(async () => lying(await gzip(0))),
  "gzip that lies, behind noise": v0(async () => lying(await gzip(V0_NOISE_MIB))),
  "gzip that lies, behind noise, of undeclared length": {
    ...v0(async () => lying(await gzip(V0_NOISE_MIB))),
    chunked: true,
  },
  "gzip in base64": v0(async () => (await gzip(0)).toString("base64")),
  "gzip that lies, behind noise, in base64": v0(async () => lying(await gzip(V0_NOISE_MIB - 5)).toString("base64")),
  lz64: v0(async () => lz64Bomb(BOMB_MIB * MIB), "/e/?compression=lz64"),
  "gzip in v1": v1("gzip", () => gzip(0)),
  "deflate in v1": v1("deflate", () => deflate(0)),
  "deflate behind noise in v1": v1("deflate", () => deflate(V1_NOISE_MIB)),
  "brotli in v1": v1("br", () => br(0)),
  "brotli behind noise in v1": v1("br", () => br(V1_NOISE_MIB + 4)),
  "zstd in v1": v1("zstd", () => zstd(0)),
  "zstd behind noise in v1": v1("zstd", () => zstd(V1_NOISE_MIB + 4)),
  "zstd at an incoming webhook": hook("zstd", () => zstd(0)),
};

// A process of its own for each: what one has taken and not given back would hide what the next one takes.
let headwater: Headwater;
beforeEach(async () => {
  const sources = [{ id: "hook", protocol: "webhook" }];
  headwater = await startHeadwater({ config: { teams: [{ id: "acme", tokens: ["phc_acme"], sources }] } });
});
afterEach(async () => {
  await headwater?.stop();
});

function send({ path, headers = {}, chunked = false }: Omit<Bomb, "body">, body: Uint8Array | string) {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const init = chunked
    ? { body: new Blob([Uint8Array.from(bytes)]).stream(), duplex: "half" }
    : { body: Uint8Array.from(bytes) };
  return fetch(`${headwater.capture}${path}`, { method: "POST", headers, ...init } as RequestInit);
}

it.skipIf(!existsSync("/proc/self/clear_refs")).each(Object.entries(BOMBS))(
  "a bomb of 1 GB of %s is refused, and the process grows by less than 64 MB",
  async (name, bomb) => {
    const body = await bomb.body();
    // The same way with nothing, so that what the way itself takes is there already.
    await (await send(bomb, "")).text();
    const beforeBytes = headwater.rss().core.residentBytes;
    headwater.resetPeak();
    const response = await send(bomb, body);
    const text = await response.text();
    const grown = headwater.rss().core.peakBytes - beforeBytes;
    console.log(`${name}: ${body.length} bytes on the wire, ${Math.round(grown / MIB)} MiB grown, ${response.status}`);
    expect([response.status, text]).toEqual([413, expect.stringContaining("would exceed")]);
    expect(grown).toBeLessThan(GROWTH_BYTES);
    expect((await fetch(`${headwater.capture}/_liveness`)).status).toBe(200);
  },
);

it.each([false, true])("what is large and no bomb is taken, sent in chunks: %s", async (chunked) => {
  const batch = Array.from({ length: 16 }, (_, n) => ({
    event: `large ${n}`,
    distinct_id: "u",
    properties: { text: randomBytes(600_000).toString("base64") },
  }));
  const body = zlib.gzipSync(JSON.stringify({ api_key: "phc_acme", batch }), { level: 1 });
  expect(body.length).toBeGreaterThan(8 * MIB);
  const response = await send({ path: "/batch/", chunked }, body);
  expect([response.status, await response.text()]).toEqual([200, '{"status":"Ok"}']);
});
