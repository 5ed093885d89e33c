import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isIp, isPrivateIp, maskIp } from "./ip.ts";

describe("maskIp", () => {
  it.each([
    ["203.0.113.77", "203.0.113.0"],
    ["2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::"],
    ["2001:db8::1", "2001:db8::"],
    ["::1", "::"],
    ["::ffff:203.0.113.77", "203.0.113.0"],
    ["fe80::1%eth0", "fe80::"],
    ["1:0:0:2:3:4:5:6", "1::"],
  ])("keeps the network of %s", (ip, masked) => {
    expect(maskIp(ip)).toBe(masked);
  });

  it("keeps as many bits as it is told", () => {
    expect(maskIp("203.0.113.77", { v4: 16 })).toBe("203.0.0.0");
    expect(maskIp("203.0.113.77", { v4: 30 })).toBe("203.0.113.76");
    expect(maskIp("203.0.113.77", { v4: 0 })).toBe("0.0.0.0");
    expect(maskIp("2001:db8:1:2:3:4:5:6", { v6: 128 })).toBe("2001:db8:1:2:3:4:5:6");
    expect(maskIp("2001:db8:1:0:0:4:0:0", { v6: 128 })).toBe("2001:db8:1::4:0:0");
    expect(maskIp("2001:db8:ffff::", { v6: 36 })).toBe("2001:db8:f000::");
  });

  it.each([["unknown"], ["1.2.3"], ["1.2.3.256"], ["1::2::3"], ["1:2:3:4:5:6:7"], ["12345::"], [""], [null], [5]])(
    "gives null for %s",
    (ip) => {
      expect(maskIp(ip)).toBeNull();
      expect(isIp(ip)).toBe(false);
    },
  );

  it("accepts what Node accepts, and gives back an address that stays the same", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ unit: fc.constantFrom(...":.0f1") })), (ip) => {
        expect(isIp(ip)).toBe(isIP(ip) !== 0);
        const masked = maskIp(ip);
        if (masked === null) return;
        expect(isIP(masked)).not.toBe(0);
        expect(maskIp(masked)).toBe(masked);
      }),
    );
  });
});

describe("isPrivateIp", () => {
  it.each([
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "127.0.0.1",
    "169.254.1.1",
    "100.64.0.1",
    "::1",
    "::",
    "fd00::1",
    "fe80::1",
    "::ffff:10.0.0.1",
  ])("holds for %s", (ip) => expect(isPrivateIp(ip)).toBe(true));

  it.each([
    "203.0.113.1",
    "172.32.0.1",
    "192.169.0.1",
    "100.128.0.1",
    "2001:db8::1",
    "::2",
    "::ffff:8.8.8.8",
    "nonsense",
  ])("does not hold for %s", (ip) => expect(isPrivateIp(ip)).toBe(false));
});
