import { describe, expect, it } from "vitest";
import { type ClientTime, eventTimestamp } from "./posthog-time.ts";

const NOW = "2026-08-01T12:00:00.000Z";
const at = (text: string) => Date.parse(text);
const aTime = (overrides: Partial<ClientTime> = {}): ClientTime => ({
  timestamp: "2026-08-01T11:00:00Z",
  offsetMs: undefined,
  sentAtMs: null,
  ...overrides,
});

describe("eventTimestamp", () => {
  it.each<[string, Partial<ClientTime>, string]>([
    ["the client's time where it says no more", {}, "2026-08-01T11:00:00.000Z"],
    ["the client's fast clock corrected", { sentAtMs: at("2026-08-01T12:00:10Z") }, "2026-08-01T10:59:50.000Z"],
    ["the client's slow clock corrected", { sentAtMs: at("2026-08-01T11:59:50Z") }, "2026-08-01T11:00:10.000Z"],
    ["now without a timestamp", { timestamp: undefined }, NOW],
    [
      "now without a timestamp, whatever was sent when",
      { timestamp: undefined, sentAtMs: at("2026-08-01T09:00:00Z") },
      NOW,
    ],
    ["now for a timestamp that is none", { timestamp: "yesterday" }, NOW],
    ["now for an empty timestamp", { timestamp: "" }, NOW],
    ["now less the offset", { timestamp: undefined, offsetMs: 3_000 }, "2026-08-01T11:59:57.000Z"],
    [
      "the offset above all else",
      { offsetMs: 3_000, sentAtMs: at("2026-08-01T09:00:00Z") },
      "2026-08-01T11:59:57.000Z",
    ],
    ["a future of 23 hours", { timestamp: "2026-08-02T11:00:00Z" }, "2026-08-02T11:00:00.000Z"],
    ["now for a future beyond 23 hours", { timestamp: "2026-08-02T11:00:00.001Z" }, NOW],
    ["now for an offset into that future", { offsetMs: -24 * 3_600_000 }, NOW],
    ["now for a skew into that future", { sentAtMs: at("2026-07-01T00:00:00Z") }, NOW],
    ["1970 for a year below 0", { timestamp: "-99999999999999" }, "1970-01-01T00:00:00.000Z"],
    ["1970 for an offset beyond all years", { offsetMs: 9e18 }, "1970-01-01T00:00:00.000Z"],
    ["the year 0", { timestamp: "0000-01-01T00:00:00Z" }, "0000-01-01T00:00:00.000Z"],
    ["another zone as UTC", { timestamp: "2026-08-01T13:00:00+02" }, "2026-08-01T11:00:00.000Z"],
  ])("is %s", (_what, overrides, expected) => {
    expect(eventTimestamp(aTime(overrides), at(NOW))).toBe(expected);
  });
});
