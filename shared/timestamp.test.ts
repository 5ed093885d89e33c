import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatTimestamp, parseTimestamp } from "./timestamp.ts";

const FIRST_MS = new Date("0000-01-01T00:00:00Z").getTime();
const LAST_MS = new Date("9999-12-31T23:59:59.999Z").getTime();
const anInstant = fc.oneof(fc.integer({ min: FIRST_MS, max: LAST_MS }), fc.integer({ min: 0, max: 4_102_444_800_000 }));

describe("parseTimestamp", () => {
  it.each([
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"],
    ["2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"],
    ["2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"],
    ["2026-01-02T03:04:05.678912Z", "2026-01-02T03:04:05.678Z"],
    ["2026-01-02t03:04:05.678z", "2026-01-02T03:04:05.678Z"],
    ["2026-01-02T03:04:05+03:00", "2026-01-02T00:04:05.000Z"],
    ["2026-01-02T03:04:05+03", "2026-01-02T00:04:05.000Z"],
    ["2026-01-02T03:04:05-0530", "2026-01-02T08:34:05.000Z"],
    ["2026-01-02T03:04:05.678912+00:00", "2026-01-02T03:04:05.678Z"],
    ["2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05.000Z"],
    ["2026-01-02 03:04", "2026-01-02T03:04:00.000Z"],
    ["2026-01-02", "2026-01-02T00:00:00.000Z"],
    ["2026/01/02", "2026-01-02T00:00:00.000Z"],
    ["2026/1/2 3:04:05", "2026-01-02T03:04:05.000Z"],
    ["01/02/2026", "2026-01-02T00:00:00.000Z"],
    ["Fri, 02 Jan 2026 03:04:05 GMT", "2026-01-02T03:04:05.000Z"],
    ["2 Jan 2026 03:04:05 +0100", "2026-01-02T02:04:05.000Z"],
    ["1767323045", "2026-01-02T03:04:05.000Z"],
    ["1767323045.5", "2026-01-02T03:04:05.500Z"],
    ["1767323045678", "2026-01-02T03:04:05.678Z"],
    ["-1", "1969-12-31T23:59:59.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
    ["2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"],
    ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
    [" 2026-01-02T03:04:05Z ", "2026-01-02T03:04:05.000Z"],
  ])("reads %s as %s", (text, expected) => {
    const ms = parseTimestamp(text);
    expect(ms === null ? null : formatTimestamp(ms)).toBe(expected);
  });

  it.each([
    "",
    "now",
    "yesterday at noon",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-01-02T24:00:00Z",
    "2026-01-02T03:60:05Z",
    "2026-01-02T03:04:61Z",
    "2026-01-02T03:04:0aZ",
    "2026-01-02T03:04:05.Z",
    "2026-01/02",
    "13/13/2026",
    "32 Jan 2026 03:04:05 GMT",
    "02 Foo 2026 03:04:05 GMT",
    "2026-01-02T03:04:05+3",
    "2026-01-02T03:04:05+24:00",
    `2026-01-02T03:04:05.${"0".repeat(100)}Z`,
  ])("reads no instant in %j", (text) => {
    expect(parseTimestamp(text)).toBeNull();
  });

  it("reads back what formatTimestamp writes, and both agree with Date", () => {
    fc.assert(
      fc.property(anInstant, (ms) => {
        const text = formatTimestamp(ms);
        expect(text).toBe(new Date(ms).toISOString());
        expect(parseTimestamp(text)).toBe(ms);
      }),
    );
  });

  it("answers a finite number or null for any text", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        const ms = parseTimestamp(text);
        return ms === null || Number.isFinite(ms);
      }),
    );
  });
});
