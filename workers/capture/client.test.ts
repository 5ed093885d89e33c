import { describe, expect, it } from "vitest";
import { clientReader, regionOf } from "./client.ts";
import { NO_PROXIES, proxiesOf } from "./proxies.ts";

function aRequest(headers: Record<string, string> = {}, cf?: Record<string, unknown>): Request {
  const request = new Request("http://capture.test/", { headers });
  if (cf !== undefined) Object.defineProperty(request, "cf", { value: cf });
  return request;
}

const read = clientReader(NO_PROXIES);
const SPOOFED = {
  "cf-connecting-ip": "6.6.6.6",
  "x-forwarded-for": "6.6.6.6",
  "x-real-ip": "6.6.6.6",
  forwarded: "for=6.6.6.6",
  "true-client-ip": "6.6.6.6",
};

describe("clientReader", () => {
  it.each<[string, Record<string, unknown> | undefined, Record<string, string>, string | null]>([
    ["a socket of the runtime's own", { clientIp: "203.0.113.7:4711" }, SPOOFED, "203.0.113.7"],
    ["such a socket over IPv6", { clientIp: "[2001:db8::1]:4711" }, SPOOFED, "2001:db8::1"],
    ["IPv4 as such a socket may write it", { clientIp: "[::ffff:203.0.113.7]:4711" }, SPOOFED, "203.0.113.7"],
    ["a socket that has no address", { clientIp: "unix:/tmp/capture" }, SPOOFED, null],
    ["Cloudflare", { colo: "TXL" }, { ...SPOOFED, "cf-connecting-ip": "2001:DB8:0::7" }, "2001:db8::7"],
    ["Cloudflare without its header", { colo: "TXL" }, { "x-forwarded-for": "6.6.6.6" }, null],
    ["nobody who can be believed", undefined, SPOOFED, null],
  ])("believes %s, and no header that a client can write", (_what, cf, headers, ip) => {
    expect(read(aRequest(headers, cf))).toEqual({ ip, geo: undefined });
  });

  it("walks on from Cloudflare's caller where that is a proxy of the operator's", () => {
    const behindCdn = clientReader(proxiesOf({ TRUSTED_PROXIES: "198.51.100.0/24" }));
    const headers = { "cf-connecting-ip": "198.51.100.1", "x-forwarded-for": "6.6.6.6, 203.0.113.7, 198.51.100.1" };
    expect(behindCdn(aRequest(headers, { colo: "TXL" })).ip).toBe("203.0.113.7");
  });

  it("does not take the place of such a proxy for the client's", () => {
    const behindCdn = clientReader(proxiesOf({ TRUSTED_PROXIES: "198.51.100.0/24" }));
    const cf = { colo: "TXL", country: "DE" };
    const placeOf = (headers: Record<string, string>) => behindCdn(aRequest(headers, cf)).geo;
    expect(placeOf({ "cf-connecting-ip": "198.51.100.1", "x-forwarded-for": "203.0.113.7" })).toBeUndefined();
    expect(placeOf({ "cf-connecting-ip": "198.51.100.1", "x-forwarded-for": "unknown" })).toBeUndefined();
    expect(placeOf({ "cf-connecting-ip": "203.0.113.7" })).toEqual({ country: "DE" });
  });

  it("reads the place that the edge names, and leaves out what it does not know", () => {
    const cf = { country: "DE", city: "Berlin", latitude: "52.5", longitude: "", continent: "EU", region: undefined };
    expect(read(aRequest({}, cf)).geo).toEqual({ country: "DE", city: "Berlin", latitude: 52.5, continent: "EU" });
    expect(read(aRequest({}, { colo: "TXL" })).geo).toBeUndefined();
  });
});

describe("regionOf", () => {
  it.each([
    [{ continent: "NA", longitude: "-122.4" }, "wnam"],
    [{ continent: "NA", longitude: "-74.0" }, "enam"],
    [{ continent: "NA" }, "enam"],
    [{ continent: "EU", longitude: "-3.7" }, "weur"],
    [{ continent: "EU", longitude: "21.0" }, "eeur"],
    [{ continent: "AS", country: "AE" }, "me"],
    [{ continent: "AF", country: "EG" }, "me"],
    [{ continent: "AS", country: "JP" }, "apac"],
    [{ continent: "OC" }, "oc"],
    [{ continent: "AF" }, "afr"],
    [{ continent: "SA" }, "sam"],
    [{ continent: "T1" }, "local"],
    [undefined, "local"],
  ])("of %j is %s", (cf, region) => {
    expect(regionOf(aRequest({}, cf))).toBe(region);
  });
});
