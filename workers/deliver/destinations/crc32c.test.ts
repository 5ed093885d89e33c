import { expect, test } from "vitest";
import { crc32c } from "./crc32c.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

test.each([
  ["nothing", new Uint8Array(), 0],
  ["the usual check string", ascii("123456789"), 0xe3069283],
  // RFC 3720, B.4.
  ["32 zeroes", new Uint8Array(32), 0x8a9136aa],
  ["32 ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["32 ascending", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ["32 descending", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
])("CRC-32C of %s", (_name, bytes, crc) => {
  expect(crc32c(bytes)).toBe(crc);
});

test("a view into a larger buffer counts its own bytes only", () => {
  expect(crc32c(ascii("xx123456789yy").subarray(2, 11))).toBe(0xe3069283);
});
