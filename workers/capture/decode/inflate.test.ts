import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { type Encoding, inflate } from "./inflate.ts";

const MANY = 10_000_000;
const text = "what goes in comes out ".repeat(1_000);
const MIXED = Array.from({ length: 600_000 }, (_, n) => ((n * 7919) % 100_003).toString(36)).join(" ");

function answer(encoding: Encoding, bytes: Uint8Array, maxBytes = MANY) {
  try {
    return new TextDecoder().decode(inflate(encoding, bytes, maxBytes));
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

  it("comes out whole", () => {
    expect(answer(encoding, pack(text))).toBe(text);
    expect(answer(encoding, pack(MIXED))).toBe(MIXED);
    expect(answer(encoding, pack(""))).toBe("");
  });

  it("is taken up to exactly the cap", () => {
    expect(answer(encoding, pack(text), text.length)).toBe(text);
    expect(answer(encoding, pack(text), text.length - 1)).toBe(over(text.length - 1));
    expect(answer(encoding, pack(MIXED), MIXED.length - 1)).toBe(over(MIXED.length - 1));
  });

  it("is refused where it is cut off, or something else, or nothing", () => {
    expect(answer(encoding, pack(text).subarray(0, -6))).toBe(invalid);
    expect(answer(encoding, new TextEncoder().encode('{"event":"x"}'))).toBe(invalid);
    expect(answer(encoding, new Uint8Array(0))).toBe(invalid);
  });
});

it("gzip that breaks off where its last bytes look like a size over the cap is told from one that is over it", () => {
  const packed = gzipSync(text);
  const broken = Buffer.concat([packed.subarray(0, packed.length / 2), Uint8Array.of(255, 255, 255, 255)]);
  expect(answer("gzip", broken)).toBe("400 failed to decode request: invalid GZIP data");
});

it("gzip of several members is read whole", () => {
  expect(answer("gzip", Buffer.concat([gzipSync(text), gzipSync("end")]))).toBe(`${text}end`);
});
