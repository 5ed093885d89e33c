import { describe, expect, it } from "vitest";
import { clientOf, regionOf } from "./client.ts";

function aRequest(headers: Record<string, string> = {}, cf?: Record<string, unknown>): Request {
  const request = new Request("http://capture.test/", { headers });
  if (cf !== undefined) Object.defineProperty(request, "cf", { value: cf });
  return request;
}

describe("clientOf", () => {
  it.each<[string, Record<string, string>, string | null]>([
    ["nothing", {}, null],
    ["Cloudflare's header", { "cf-connecting-ip": "203.0.113.7", "x-forwarded-for": "198.51.100.1" }, "203.0.113.7"],
    ["the first hop", { "x-forwarded-for": "198.51.100.1, 10.0.0.1" }, "198.51.100.1"],
    ["IPv6", { "x-forwarded-for": "2001:db8::1" }, "2001:db8::1"],
    ["IPv4 with a port", { "x-forwarded-for": "198.51.100.1:4711" }, "198.51.100.1"],
    ["IPv6 with a port", { "x-forwarded-for": "[2001:db8::1]:4711" }, "2001:db8::1"],
    ["a name", { "x-forwarded-for": "unknown" }, null],
    ["an empty hop", { "x-forwarded-for": ", 10.0.0.1" }, null],
    ["markup", { "x-forwarded-for": "<b>" }, null],
  ])("reads the address from %s", (_what, headers, ip) => {
    expect(clientOf(aRequest(headers))).toEqual({ ip, geo: undefined });
  });

  it("reads the place that the edge names, and leaves out what it does not know", () => {
    const cf = { country: "DE", city: "Berlin", latitude: "52.5", longitude: "", continent: "EU", region: undefined };
    expect(clientOf(aRequest({}, cf)).geo).toEqual({ country: "DE", city: "Berlin", latitude: 52.5, continent: "EU" });
    expect(clientOf(aRequest({}, { colo: "TXL" })).geo).toBeUndefined();
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
