import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAddress, parseAddress } from "./address.ts";
import { clientAddress, proxiesOf } from "./proxies.ts";

const PROXIES = "10.0.0.0/8, 2001:db8::/32";

function client(peer: string, headers: Record<string, string>, env: Record<string, string> = {}): string | null {
  const address = clientAddress(
    parseAddress(peer),
    new Headers(headers),
    proxiesOf({ TRUSTED_PROXIES: PROXIES, ...env }),
  );
  return address === null ? null : formatAddress(address);
}

describe("the client behind X-Forwarded-For", () => {
  it.each<[string, string, string | undefined, string | null]>([
    ["is the peer where that is no proxy", "203.0.113.7", "6.6.6.6", "203.0.113.7"],
    ["is what the proxy says", "10.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["is not what the client has written before it", "10.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"],
    ["is not a proxy's address that the client has written", "10.0.0.1", "10.6.6.6, 203.0.113.7", "203.0.113.7"],
    ["is found behind several proxies", "10.0.0.1", "6.6.6.6, 203.0.113.7, 2001:db8::9, 10.0.0.2", "203.0.113.7"],
    ["may have a port", "10.0.0.1", "203.0.113.7:4711", "203.0.113.7"],
    ["may have a port in IPv6", "10.0.0.1", "[2001:0DB9::1]:4711", "2001:db9::1"],
    ["is the outermost proxy where all are", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["is the peer where nothing is said", "10.0.0.1", undefined, "10.0.0.1"],
    ["is unknown where the proxy says so", "10.0.0.1", "6.6.6.6, unknown", null],
    ["is unknown where what the proxy says is no address", "10.0.0.1", "6.6.6.6, <b>", null],
    ["is unknown where the proxy says nothing at its place", "10.0.0.1", "6.6.6.6,", null],
    ["is not what other headers say", "::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"],
  ])("%s", (_what, peer, text, expected) => {
    const others = { forwarded: "for=6.6.6.6", "cf-connecting-ip": "6.6.6.6", "x-real-ip": "6.6.6.6" };
    expect(client(peer, text === undefined ? others : { ...others, "x-forwarded-for": text })).toBe(expected);
  });

  it("is in another header where the operator says so", () => {
    const headers = { "x-forwarded-for": "6.6.6.6", "true-client-ip": "203.0.113.7" };
    expect(client("10.0.0.1", headers, { CLIENT_ADDRESS_HEADER: "True-Client-IP" })).toBe("203.0.113.7");
  });

  it("cannot be chosen by a client, whatever it writes", () => {
    const line = fc.oneof(
      fc.string(),
      fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 5 }).map(String),
    );
    fc.assert(
      fc.property(line, fc.constantFrom("x-forwarded-for", "forwarded"), (given, header) => {
        const spoofed = given.replace(/[^\x20-\x7e]/g, "?");
        const own = header === "forwarded" ? 'for="203.0.113.7:80"' : "203.0.113.7";
        const seen = client("10.0.0.1", { [header]: `${spoofed}, ${own}` }, { CLIENT_ADDRESS_HEADER: header });
        expect([null, "203.0.113.7"]).toContain(seen);
        if (header === "x-forwarded-for") expect(seen).toBe("203.0.113.7");
      }),
    );
  });
});

describe("the client behind Forwarded", () => {
  it.each<[string, string, string | null]>([
    ["a plain address", "for=203.0.113.7", "203.0.113.7"],
    ["names in any case, and what else there is", "Proto=https;FOR=203.0.113.7; by=10.0.0.1", "203.0.113.7"],
    ["IPv6 in quotes and brackets", 'for="[2001:db9::1]:4711"', "2001:db9::1"],
    ["IPv4 with a port in quotes", 'for="203.0.113.7:4711"', "203.0.113.7"],
    [
      "the last element that is no proxy",
      'for=6.6.6.6, for=203.0.113.7;proto=http , for="[2001:db8::9]"',
      "203.0.113.7",
    ],
    ["a quote with a comma in it", 'for=203.0.113.7;x="a, for=6.6.6.6"', "203.0.113.7"],
    ["a quote with a quote in it", 'x="a\\", for=6.6.6.6;y=\\"";for=203.0.113.7', "203.0.113.7"],
    ["an obfuscated name", "for=6.6.6.6, for=_hidden", null],
    ["unknown", "for=6.6.6.6, for=unknown", null],
    ["an element without for", "for=6.6.6.6, proto=https", null],
    ["a quote that a client has opened", 'for=6.6.6.6;x=", for=203.0.113.7', null],
    ["a quote that closes in the proxy's own", 'for=6.6.6.6;x=", for="[2001:db9::1]"', null],
    ["bare text", "203.0.113.7", null],
    ["IPv6 without quotes", "for=[2001:db9::1]", null],
  ])("reads %s", (_what, text, expected) => {
    expect(client("10.0.0.1", { forwarded: text }, { CLIENT_ADDRESS_HEADER: "forwarded" })).toBe(expected);
  });
});

describe("the operator's list", () => {
  it("takes networks, addresses and the word for private ones, with spaces between", () => {
    const env = { TRUSTED_PROXIES: " private, 198.51.100.1,, 2001:db8::/32 " };
    for (const peer of [
      "127.0.0.1",
      "192.168.1.1",
      "172.31.255.1",
      "fd00::1",
      "::1",
      "198.51.100.1",
      "2001:db8:9::1",
    ]) {
      expect(client(peer, { "x-forwarded-for": "203.0.113.7" }, env)).toBe("203.0.113.7");
    }
    for (const peer of ["198.51.100.2", "172.32.0.1", "2001:db9::1", "8.8.8.8"]) {
      expect(client(peer, { "x-forwarded-for": "203.0.113.7" }, env)).toBe(peer);
    }
  });

  it.each(["10.0.0.0/33", "10.0.0/8", "2001:db8::/129", "proxy.example", "10.0.0.0/8/8", "10.0.0.0/x"])(
    "refuses %s by name",
    (text) => {
      expect(() => proxiesOf({ TRUSTED_PROXIES: `127.0.0.1,${text}` })).toThrow(
        `TRUSTED_PROXIES: "${text}" is no network`,
      );
    },
  );

  it("refuses a header that cannot be one", () => {
    expect(() => proxiesOf({ CLIENT_ADDRESS_HEADER: "x forwarded" })).toThrow("is no header name");
  });
});
