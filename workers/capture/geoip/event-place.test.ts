import { describe, expect, it } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { formatAddress } from "../address.ts";
import type { Client } from "../client.ts";
import { type GeoLookup, placeEvents } from "./event-place.ts";

const BERLIN = { country: "DE", city: "Berlin" };
const PARIS = { country: "FR", city: "Paris" };
const OSLO = { country: "NO", city: "Oslo" };

/** Knows where two addresses are, and notes what it was asked. */
function aLookup() {
  const asked: string[] = [];
  const places = new Map<string, typeof BERLIN>([
    ["203.0.113.7", PARIS],
    ["2001:db8::7", OSLO],
  ]);
  const lookup: GeoLookup = (address) => {
    asked.push(formatAddress(address));
    return places.get(formatAddress(address));
  };
  return { asked, lookup };
}

/** Each event: its `ip`, and `$ip` if it has one. */
function placed(client: Client, lookup: GeoLookup | null, ...given: { ip?: string | null; $ip?: unknown }[]) {
  const events = given.map(({ ip = client.ip, ...properties }) => anEvent({ ip, properties }));
  placeEvents(events, client, lookup);
  return events.map(({ geo }) => geo);
}

describe("placeEvents", () => {
  const atEdge: Client = { ip: "198.51.100.1", geo: BERLIN };
  const atHome: Client = { ip: "203.0.113.7", geo: undefined };

  it("takes what the edge knows of the client, and looks nothing up", () => {
    const { asked, lookup } = aLookup();
    expect(placed(atEdge, lookup, {}, {})).toEqual([BERLIN, BERLIN]);
    expect(asked).toEqual([]);
  });

  it("looks the client up where the edge knows nothing: once, for all of its events", () => {
    const { asked, lookup } = aLookup();
    const [first, second] = placed(atHome, lookup, {}, {});
    expect(first).toEqual(PARIS);
    expect(second).toBe(first);
    expect(asked).toEqual(["203.0.113.7"]);
  });

  it("looks nothing up where all events say whose they are", () => {
    const { asked, lookup } = aLookup();
    expect(placed(atHome, lookup, { $ip: "2001:db8::7" })).toEqual([OSLO]);
    expect(asked).toEqual(["2001:db8::7"]);
  });

  it.each<[string, unknown, unknown]>([
    ["another address that is known", "203.0.113.7", PARIS],
    ["an address that is not known", "192.0.2.1", undefined],
    ["an address in another spelling", "2001:DB8:0:0::7", OSLO],
    ["IPv4 as IPv6", "::ffff:203.0.113.7", PARIS],
    ["the client's own address", "198.51.100.1", BERLIN],
    ["the client's own address in another spelling", "::ffff:198.51.100.1", BERLIN],
    ["nothing, so that nothing is known", null, undefined],
    ["an empty text", "", undefined],
    ["what is no address", "unknown", undefined],
    ["what is no text", { ip: "203.0.113.7" }, undefined],
  ])("goes by $ip before the client's address: %s", (_what, $ip, geo) => {
    expect(placed(atEdge, aLookup().lookup, { $ip })).toEqual([geo]);
  });

  it("does not place an event where its client is, when it says that it is somewhere else and nothing is known of that", () => {
    expect(placed(atEdge, null, {}, { $ip: "203.0.113.7" }, { $ip: "198.51.100.1" })).toEqual([
      BERLIN,
      undefined,
      BERLIN,
    ]);
  });

  it("does not place an event that came from nobody where its request came from", () => {
    expect(placed(atEdge, null, { ip: "127.0.0.1" })).toEqual([undefined]);
  });

  it("leaves events alone where nothing is known", () => {
    const event = anEvent({ ip: null, properties: { $ip: "203.0.113.7" } });
    placeEvents([event], { ip: null, geo: undefined }, null);
    expect(event).not.toHaveProperty("geo");
  });
});
