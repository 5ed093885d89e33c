import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAddress, isWithin, maskAddress, parseAddress, parseNetwork } from "./address.ts";

describe("addresses", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["::FFFF:cb00:7107", "203.0.113.7"],
    ["2001:0DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"],
    ["64:ff9b::203.0.113.7", "64:ff9b::cb00:7107"],
    ["1:2:3:4:5:6:203.0.113.7", "1:2:3:4:5:6:cb00:7107"],
    ["::", "::"],
    ["::1", "::1"],
    ["fe80::", "fe80::"],
  ])("%s is written as %s", (text, written) => {
    expect(formatAddress(parseAddress(text)!)).toBe(written);
  });

  it.each([
    "",
    "1.2.3",
    "1.2.3.256",
    "1.2.3.4.5",
    "1:2:3",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    ":::",
    "1.2.3.4::",
    "12345::",
    "g::",
    "::1%eth0",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8::",
    "0x7f.1",
    "unknown",
  ])("%j is none", (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  it("are those that Node takes, and come back as they were", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ unit: fc.constantFrom(..."0123456789abcdef:.") })),
        (text) => {
          const address = parseAddress(text);
          expect(address !== null, text).toBe(isIP(text) !== 0);
          if (address !== null) expect(parseAddress(formatAddress(address))).toEqual(address);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

it.each([
  ["10.1.2.3", "10.0.0.0/8", true],
  ["11.0.0.0", "10.0.0.0/8", false],
  ["10.1.2.3", "0.0.0.0/0", true],
  ["2001:db8::1", "0.0.0.0/0", false],
  ["192.168.129.1", "192.168.128.0/17", true],
  ["192.168.127.1", "192.168.128.0/17", false],
  ["10.0.0.1", "10.0.0.1", true],
  ["10.0.0.1", "10.0.0.1/32", true],
  ["10.0.0.2", "10.0.0.1", false],
  ["2001:db8:ffff::", "2001:db8::/32", true],
  ["::ffff:10.0.0.1", "10.0.0.0/8", true],
])("%s within %s: %s", (address, network, expected) => {
  expect(isWithin(parseAddress(address)!, parseNetwork(network)!)).toBe(expected);
});

it.each([
  ["203.0.113.7", "203.0.113.0"],
  ["::ffff:203.0.113.7", "203.0.113.0"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1::"],
  ["2001:db8::1", "2001:db8::"],
  ["::1", "::"],
  ["localhost", null],
])("%s is masked to %s", (address, masked) => {
  expect(maskAddress(address)).toBe(masked);
});
