import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalUuid, type FillRandom, formatUuid, parseUuid, UUID_BYTES, UuidV7 } from "./uuid.ts";

const TEXT = "0190a0b0-1234-7abc-8def-0123456789ab";
const BYTES = [0x01, 0x90, 0xa0, 0xb0, 0x12, 0x34, 0x7a, 0xbc, 0x8d, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab];

describe("parseUuid", () => {
  it.each([
    ["hyphenated", TEXT],
    ["upper case", TEXT.toUpperCase()],
    ["32 digits", TEXT.replaceAll("-", "")],
    ["braced", `{${TEXT}}`],
    ["a URN", `urn:uuid:${TEXT}`],
  ])("reads a UUID written as %s", (_form, text) => {
    const bytes = new Uint8Array(UUID_BYTES);
    expect(parseUuid(text, bytes)).toBe(true);
    expect([...bytes]).toEqual(BYTES);
    expect(canonicalUuid(text)).toBe(TEXT);
  });

  it.each([
    ["nothing", ""],
    ["one digit short", TEXT.slice(1)],
    ["one digit long", `${TEXT}0`],
    ["a letter past f", TEXT.replace("b", "g")],
    ["a character between the digits and the letters", TEXT.replace("b", ":")],
    ["a character beyond ASCII", TEXT.replace("b", "ｂ")],
    ["a hyphen out of place", "0190a0b01-234-7abc-8def-0123456789ab"],
    ["no hyphens, other separators", TEXT.replaceAll("-", " ")],
    ["a hyphen where a digit belongs", "-190a0b0-1234-7abc-8def-0123456789ab"],
    ["unequal braces", `{${TEXT})`],
    ["a sign", `+190a0b0-1234-7abc-8def-0123456789ab`],
  ])("refuses %s", (_what, text) => {
    expect(parseUuid(text, new Uint8Array(UUID_BYTES))).toBe(false);
    expect(canonicalUuid(text)).toBeNull();
  });

  it("writes at the offset that it is given and nowhere else", () => {
    const bytes = new Uint8Array(48).fill(7);
    parseUuid(TEXT, bytes, 16);
    expect([...bytes]).toEqual([...Array(16).fill(7), ...BYTES, ...Array(16).fill(7)]);
    expect(formatUuid(bytes, 16)).toBe(TEXT);
  });

  it("reads back whatever formatUuid writes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const read = new Uint8Array(UUID_BYTES);
        return parseUuid(formatUuid(bytes), read) && read.every((byte, i) => byte === bytes[i]);
      }),
    );
  });
});

describe("canonicalUuid", () => {
  it("agrees with a regular expression on any text", () => {
    const near = fc.stringMatching(/^[0-9a-fA-Fg-]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f:]{12}$/);
    fc.assert(
      fc.property(fc.oneof(near, fc.uuid(), fc.string({ minLength: 36, maxLength: 36 })), (text) => {
        const expected = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);
        expect(canonicalUuid(text)).toBe(expected ? text.toLowerCase() : null);
      }),
    );
  });
});

describe("UuidV7", () => {
  const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  const counting = (): FillRandom => {
    let next = 0;
    return (bytes) => {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next++ % 251;
    };
  };
  const timeOf = (uuid: string) => Number.parseInt(uuid.replaceAll("-", "").slice(0, 12), 16);

  it("carries the time, the version and the variant", () => {
    const uuid = new UuidV7(counting()).next(NOW_MS);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(timeOf(uuid)).toBe(NOW_MS);
  });

  it("sorts in the order of making within a millisecond, over the counter's end and when the clock steps back", () => {
    const source = new UuidV7((bytes) => void bytes.fill(0xff));
    const made = Array.from({ length: 10_000 }, (_, i) => source.next(NOW_MS - (i % 3)));
    expect(made).toEqual([...made].sort());
    expect(new Set(made).size).toBe(made.length);
    expect(timeOf(made.at(-1) as string) - NOW_MS).toBeLessThan(10);
  });

  it("takes its random bits from the source that it is given", () => {
    const [a, b] = [new UuidV7(counting()), new UuidV7(counting())];
    expect(a.next(NOW_MS)).toBe(b.next(NOW_MS));
    expect(new UuidV7((bytes) => void bytes.fill(0)).next(NOW_MS).slice(15)).toBe("000-8000-000000000000");
  });
});
