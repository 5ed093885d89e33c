import { randomBytes } from "node:crypto";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { type Encoding, inflate } from "./inflate.ts";

const MANY = 10_000_000;
const text = "what goes in comes out ".repeat(1_000);
const MIXED = Array.from({ length: 600_000 }, (_, n) => ((n * 7919) % 100_003).toString(36)).join(" ");

async function answer(encoding: Encoding, bytes: Uint8Array, maxBytes = MANY) {
  try {
    return new TextDecoder().decode(await inflate(encoding, bytes, maxBytes));
  } catch (error) {
    if (error instanceof AppError) return `${error.status} ${error.message}`;
    throw error;
  }
}

const CODECS: [Encoding, (given: string) => Uint8Array, string][] = [
  ["gzip", gzipSync, "GZIP"],
  ["deflate", deflateSync, "deflate"],
  ["deflate", deflateRawSync, "deflate"],
  ["br", brotliCompressSync, "brotli"],
  ["zstd", zstdCompressSync, "zstd"],
];

describe.each(CODECS)("%s", (encoding, pack, name) => {
  const invalid = `400 failed to decode request: invalid ${name} data`;
  const over = (maxBytes: number) =>
    `413 maximum event size exceeded: Decompressed payload would exceed ${maxBytes} bytes`;

  it("comes out whole", async () => {
    expect(await answer(encoding, pack(text))).toBe(text);
    expect(await answer(encoding, pack(MIXED))).toBe(MIXED);
    expect(await answer(encoding, pack(""))).toBe("");
  });

  it("is taken up to exactly the cap", async () => {
    expect(await answer(encoding, pack(text), text.length)).toBe(text);
    expect(await answer(encoding, pack(text), text.length - 1)).toBe(over(text.length - 1));
    expect(await answer(encoding, pack(MIXED), MIXED.length - 1)).toBe(over(MIXED.length - 1));
  });

  it("comes out whole where it is so much that it is measured first, and is held to the cap then too", async () => {
    const much = text.repeat(600);
    expect(much.length).toBeGreaterThan(12_000_000);
    const packed = pack(much);
    expect((await answer(encoding, packed, much.length)) === much).toBe(true);
    expect(await answer(encoding, packed, much.length - 1)).toBe(over(much.length - 1));
    // Its last bytes say that it is small.
    const broken = Buffer.concat([packed.subarray(0, -20), Uint8Array.of(0, 0, 0, 0)]);
    expect(await answer(encoding, broken, much.length)).toBe(invalid);
  });

  it("comes out whole where so much arrives that it is measured first", async () => {
    const noise = randomBytes(2_500_000).toString("base64");
    const packed = pack(noise);
    expect(packed.length).toBeGreaterThan(2 * 1024 * 1024);
    expect((await answer(encoding, packed)) === noise).toBe(true);
    expect(await answer(encoding, packed, noise.length - 1)).toBe(over(noise.length - 1));
  });

  it("is refused where it is cut off, or something else, or nothing", async () => {
    expect(await answer(encoding, pack(text).subarray(0, -6))).toBe(invalid);
    expect(await answer(encoding, new TextEncoder().encode('{"event":"x"}'))).toBe(invalid);
    expect(await answer(encoding, new Uint8Array(0))).toBe(invalid);
  });
});

it("gzip that breaks off where its last bytes look like a size over the cap is told from one that is over it", async () => {
  const packed = gzipSync(text);
  const broken = Buffer.concat([packed.subarray(0, packed.length / 2), Uint8Array.of(255, 255, 255, 255)]);
  expect(await answer("gzip", broken)).toBe("400 failed to decode request: invalid GZIP data");
});

it("gzip of several members is read whole", async () => {
  expect(await answer("gzip", Buffer.concat([gzipSync(text), gzipSync("end")]))).toBe(`${text}end`);
});
