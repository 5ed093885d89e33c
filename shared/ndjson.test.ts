import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeLines } from "./ndjson.ts";

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme", maxLength: 200 }),
  fc.stringMatching(/^[a-z]{0,200}$/),
  // Halves of surrogate pairs too.
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 50 }).map((units) => String.fromCharCode(...units)),
);

describe("encodeLines", () => {
  it("gives the bytes of the lines joined by newlines, whatever they hold", () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 30 }), (lines) => {
        expect(encodeLines(lines)).toEqual(new TextEncoder().encode(lines.join("\n")));
      }),
      { numRuns: 1_000 },
    );
  });

  it("makes room wherever a long text leaves ASCII", () => {
    const lines = ["a".repeat(1_000), "雨".repeat(1_000), "", "ü", "🦊".repeat(500), "z".repeat(1_000), "é"];
    for (let from = 0; from < lines.length; from++) {
      const turned = [...lines.slice(from), ...lines.slice(0, from)];
      expect(encodeLines(turned)).toEqual(new TextEncoder().encode(turned.join("\n")));
    }
  });

  it("gives bytes on memory that holds nothing else", () => {
    for (const lines of [[], ["a"], ["a", "b"], ["ü", "b"], ["🦊", "ü", "雨"]]) {
      const bytes = encodeLines(lines);
      expect(bytes.buffer.byteLength).toBe(bytes.length);
    }
  });
});
