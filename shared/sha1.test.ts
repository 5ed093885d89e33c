import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sha1 } from "./sha1.ts";

const NONE = new Uint8Array(0);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("sha1", () => {
  it.each([
    ["nothing", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"],
    ["one block (FIPS 180)", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"],
    [
      "two blocks (FIPS 180)",
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
    ],
    ["many blocks (FIPS 180)", "a".repeat(1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"],
  ])("hashes %s", (_what, text, expected) => {
    expect(hex(sha1(NONE, text))).toBe(expected);
  });

  it("agrees with Node's for every length around the borders of blocks", () => {
    const prefix = Uint8Array.from({ length: 16 }, (_, n) => n * 17);
    for (let length = 0; length < 400; length++) {
      const text = String.fromCharCode(...Array.from({ length }, (_, n) => 32 + ((n * 7) % 95)));
      expect(hex(sha1(prefix, text))).toBe(createHash("sha1").update(prefix).update(text).digest("hex"));
    }
  });

  it("agrees with Node's for any prefix and text", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.string({ unit: "binary", maxLength: 300 }), (prefix, text) => {
        expect(hex(sha1(prefix, text))).toBe(createHash("sha1").update(prefix).update(text).digest("hex"));
      }),
      { numRuns: 1_000 },
    );
  });
});
