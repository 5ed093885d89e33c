import { expect, it } from "vitest";
import { DEFAULT_LIMITS, inflatedLimit } from "./limits.ts";

const MIB = 1024 * 1024;

it.each([
  [1, 16],
  [6, 30],
  [8, 40],
  [10, 50],
  [20, 50],
])("%i MiB on the wire may become %i MiB", (wire, inflated) => {
  expect(inflatedLimit(wire * MIB, DEFAULT_LIMITS)).toBe(inflated * MIB);
});

it("what may be inflated at all is what tests shrink", () => {
  expect(inflatedLimit(MIB, { ...DEFAULT_LIMITS, decompressedBytes: 1_000 })).toBe(1_000);
});
