import { describe, expect, it } from "vitest";
import { timestampParts } from "./time.ts";

describe("timestampParts", () => {
  it("reads UTC", () => {
    expect(timestampParts("2024-02-29T23:05:09.123Z")).toEqual({
      ...{ year: 2024, month: 2, day: 29, hour: 23, minute: 5, second: 9, weekday: 4 },
    });
  });

  it("reads another zone, over midnight and daylight saving", () => {
    expect(timestampParts("2024-12-31T23:30:00Z", "Europe/Berlin")).toMatchObject({
      year: 2025,
      day: 1,
      hour: 0,
      weekday: 3,
    });
    expect(timestampParts("2024-07-01T12:00:00Z", "America/New_York")).toMatchObject({ hour: 8 });
    expect(timestampParts("2024-01-07T12:00:00Z", "America/New_York")).toMatchObject({ hour: 7, weekday: 7 });
  });

  it("takes milliseconds and dates", () => {
    const parts = timestampParts("2024-05-06T07:08:09Z");
    expect(timestampParts(Date.UTC(2024, 4, 6, 7, 8, 9))).toEqual(parts);
    expect(timestampParts(new Date(Date.UTC(2024, 4, 6, 7, 8, 9)))).toEqual(parts);
  });

  it.each([["no time"], [null], [{}], [Number.NaN], [1e300]])("gives null for %s", (timestamp) => {
    expect(timestampParts(timestamp)).toBeNull();
  });

  it("names a zone that there is not", () => {
    expect(() => timestampParts(0, "Mars/Olympus")).toThrow("Mars/Olympus");
  });
});
