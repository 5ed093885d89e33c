import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromBase64, looksBase64 } from "./base64.ts";

const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const decoded = (text: string) => {
  const bytes = fromBase64(ascii(text));
  return bytes === null ? null : Buffer.from(bytes).toString("latin1");
};

describe("fromBase64", () => {
  it("reads what was written, with its padding and without", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (given) => {
        const text = Buffer.from(given).toString("base64");
        expect(fromBase64(ascii(text))).toEqual(given);
        expect(fromBase64(ascii(text.replaceAll("=", "")))).toEqual(given);
        expect(looksBase64(ascii(text))).toBe(given.length > 0);
      }),
    );
  });

  it("takes and refuses what the platform's own does, spaces apart", () => {
    const alphabet = fc.constantFrom(..."ABZaz09+/=-_.~{é");
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 12 }), (text) => {
        let expected: string | null;
        try {
          expected = atob(text);
        } catch {
          expected = null;
        }
        expect(decoded(text)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it("takes no spaces, and leaves what it refuses as it was", () => {
    const bytes = ascii("QUJD RUZH");
    expect(fromBase64(bytes)).toBeNull();
    expect(bytes).toEqual(ascii("QUJD RUZH"));
  });
});
