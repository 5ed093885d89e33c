import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { decodeLines } from "../../shared/ndjson.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { formatUuid, UUID_BYTES } from "../../shared/uuid.ts";
import { DEFAULT_LIMITS } from "./decode/limits.ts";
import { encodeEvents } from "./encode.ts";
import { NestingError, TooLargeError } from "./errors.ts";

/** Every field of an event, in the order in which it is written. */
const ORDER = {
  uuid: true,
  event: true,
  distinct_id: true,
  timestamp: true,
  properties: true,
  $set: true,
  $set_once: true,
  heatmap_split: true,
  ip: true,
  geo: true,
  received_at: true,
  sent_at: true,
  source: true,
  historical: true,
  quarantine: true,
} satisfies Record<keyof Event, true>;

const data = fc.dictionary(fc.string(), fc.jsonValue() as fc.Arbitrary<unknown>);
const anyEvent: fc.Arbitrary<Event> = fc.record(
  {
    uuid: fc.uuid(),
    event: fc.string({ minLength: 1, unit: "binary" }),
    distinct_id: fc.string({ minLength: 1, unit: "binary" }),
    timestamp: fc.constant("2026-01-01T00:00:00.000Z"),
    properties: data,
    $set: data,
    $set_once: data,
    heatmap_split: fc.constant(true as const),
    ip: fc.constantFrom(null, "203.0.113.7"),
    geo: fc.constantFrom({ country: "DE" }, { city: 'a"b', latitude: 1.5 }),
    received_at: fc.constantFrom("2026-01-01T00:00:01.000Z", "2026-01-01T00:00:02.000Z"),
    sent_at: fc.constantFrom("2026-01-01T00:00:01.000Z", "2026-01-01T00:00:02.000Z"),
    source: fc.constantFrom("posthog", 'so"urce'),
    historical: fc.constantFrom(true, false),
    quarantine: fc.constantFrom("restriction"),
  },
  { requiredKeys: ["uuid", "event", "distinct_id", "timestamp", "properties", "ip", "received_at", "source"] },
);

describe("encodeEvents", () => {
  it("writes each event as JSON.stringify would, its fields in their order", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 8 }), (events) => {
        const { bytes, uuids } = encodeEvents(events, DEFAULT_LIMITS);
        const inOrder = (event: Event) =>
          Object.fromEntries(
            Object.keys(ORDER).flatMap((key) => (key in event ? [[key, event[key as keyof Event]]] : [])),
          );
        expect(decodeLines(bytes)).toEqual(events.map((event) => JSON.stringify(inOrder(event))));
        expect(events.map((_, i) => formatUuid(uuids, i * UUID_BYTES))).toEqual(events.map((event) => event.uuid));
      }),
      { numRuns: 300 },
    );
  });

  it("writes nothing for no events", () => {
    expect(encodeEvents([], DEFAULT_LIMITS)).toEqual({ bytes: new Uint8Array(0), uuids: new Uint8Array(0) });
  });

  it.each([
    ["ASCII", "x"],
    ["two bytes a character", "é"],
    ["three bytes a character", "€"],
    ["four bytes a character", "😀"],
  ])("measures an event in bytes, for %s", (_what, character) => {
    const event = anEvent({ properties: { text: character.repeat(100) } });
    const size = encodeEvents([event], DEFAULT_LIMITS).bytes.length;
    expect(encodeEvents([event], { ...DEFAULT_LIMITS, eventBytes: size }).bytes).toHaveLength(size);
    expect(() =>
      encodeEvents([anEvent({ properties: {} }), event], { ...DEFAULT_LIMITS, eventBytes: size - 1 }),
    ).toThrow(new TooLargeError(`event ${event.uuid} takes ${size} bytes of at most ${size - 1}`));
  });

  it("refuses an event that nests too deep, and one that is deeper than the stack", () => {
    const deep = (levels: number) => JSON.parse(`{"a":${"[".repeat(levels)}${"]".repeat(levels)}}`);
    const nested = (levels: number) => encodeEvents([anEvent({ properties: deep(levels) })], DEFAULT_LIMITS);
    expect(decodeLines(nested(198).bytes)).toHaveLength(1);
    expect(() => nested(199)).toThrow(NestingError);
    expect(() => nested(99_000)).toThrow(NestingError);
  });
});
