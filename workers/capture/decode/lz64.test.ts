import fc from "fast-check";
import lzString from "lz-string";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { decompressLz64 } from "./lz64.ts";

const MANY = 1_000_000;
const ascii = (text: string) => new TextEncoder().encode(text);

function answer(input: Uint8Array, maxBytes = MANY) {
  try {
    return decompressLz64(input, maxBytes);
  } catch (error) {
    if (error instanceof AppError) return `${error.status} ${error.message}`;
    throw error;
  }
}

describe("decompressLz64", () => {
  it.each([
    ["nothing", ""],
    ["one character", "a"],
    ["a character beyond eight bits", "€"],
    ["a repeated character", "a".repeat(5_000)],
    ["phrases that end in their own beginning", "ababababababababab".repeat(50)],
    ["emoji", "👩‍🚀🙂".repeat(40)],
    [
      "JSON",
      JSON.stringify(Array.from({ length: 300 }, (_, n) => ({ event: `event ${n % 7}`, distinct_id: n, ü: "ß" }))),
    ],
  ])("reads what lz-string makes of %s", (_what, text) => {
    expect(answer(ascii(lzString.compressToBase64(text)))).toBe(text);
  });

  it("reads what lz-string makes of any text", () => {
    const unit = fc.constantFrom("a", "b", "ä", "€", "🙂", "\0");
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit, maxLength: 400 }), fc.string({ unit: "grapheme" })), (text) => {
        expect(decompressLz64(ascii(lzString.compressToBase64(text)), MANY)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it("answers any bytes with a text or as the client's mistake (invariant 6)", () => {
    const char = fc.constantFrom(..."ABCDEFabcdef0123456789+/=");
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: char }).map(ascii), fc.uint8Array()), (bytes) => {
        expect(typeof answer(Uint8Array.from(bytes))).toBe("string");
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["no bytes", ""],
    ["a text that breaks off", lzString.compressToBase64("the quick brown fox").slice(0, 10)],
    ["a character outside the alphabet", "N4!g"],
    ["an entry that is not there", "N/////////"],
    ["half a surrogate pair", lzString.compressToBase64("\ud800")],
  ])("refuses %s", (_what, text) => {
    expect(answer(ascii(text))).toBe("400 failed to decode request: invalid LZ64 data");
  });

  it("takes exactly the cap, two bytes a unit, and refuses one unit more", () => {
    const packed = ascii(lzString.compressToBase64("abcabcabcd"));
    expect(answer(packed, 20)).toBe("abcabcabcd");
    expect(answer(packed, 19)).toBe("413 maximum event size exceeded: Decompressed payload would exceed 19 bytes");
  });
});
