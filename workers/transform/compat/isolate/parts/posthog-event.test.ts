import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Event } from "../../../../../shared/event.ts";
import { anEvent } from "../../../../../shared/testing/builders.ts";
import { eventFrom, type PluginEvent, pluginEventOf } from "./posthog-event.ts";

const object = fc.dictionary(fc.constantFrom("email", "plan", "__proto__", "a"), fc.jsonValue({ maxDepth: 2 }));
const anyEvent: fc.Arbitrary<Event> = fc
  .record(
    {
      properties: fc.dictionary(
        fc.oneof(fc.constantFrom("$ip", "$set", "$set_once", "$current_url", "__proto__", "a"), fc.string()),
        fc.oneof(object, fc.jsonValue({ maxDepth: 2 })),
      ),
      $set: object,
      $set_once: object,
      ip: fc.constantFrom(null, "203.0.113.7"),
      sent_at: fc.constant("2026-01-01T00:00:02.000Z"),
      geo: fc.constant({ country: "DE" }),
      extra: object,
    },
    { requiredKeys: ["properties", "ip"] },
  )
  .map((parts) => JSON.parse(JSON.stringify(anEvent(parts as Partial<Event>))) as Event);

function changed(event: Event, change: (given: PluginEvent) => unknown): Event {
  const given = pluginEventOf(event, "acme");
  const returned = change(given) ?? given;
  return JSON.parse(JSON.stringify(eventFrom(returned as PluginEvent, event))) as Event;
}

describe("an event for a PostHog plugin", () => {
  it("comes back byte for byte where the plugin leaves it alone", () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const before = JSON.stringify(event);
        expect(JSON.stringify(eventFrom(pluginEventOf(event, "acme"), event))).toBe(before);
        const copy = { ...pluginEventOf(event, "acme") };
        copy.properties = { ...copy.properties };
        expect(JSON.stringify(eventFrom(copy, event))).toBe(before);
      }),
    );
  });

  it("has the address in both places, and what is set on the person in the properties too", () => {
    const event = anEvent({ properties: { a: 1 }, $set: { email: "a@b.c" }, sent_at: "2026-01-01T00:00:02.000Z" });
    expect(pluginEventOf(event, "acme")).toEqual({
      uuid: event.uuid,
      event: "$pageview",
      distinct_id: "user-1",
      team_id: "acme",
      ip: "203.0.113.7",
      site_url: "",
      timestamp: event.timestamp,
      now: event.received_at,
      sent_at: "2026-01-01T00:00:02.000Z",
      properties: { a: 1, $ip: "203.0.113.7", $set: { email: "a@b.c" } },
      $set: { email: "a@b.c" },
    });
  });

  it.each<[string, Partial<Event>, (given: PluginEvent) => unknown, Partial<Event>]>([
    [
      "the address by its field",
      {},
      (e) => {
        e.ip = "203.0.113.0";
      },
      { ip: "203.0.113.0" },
    ],
    [
      "the address in the properties",
      {},
      (e) => {
        e.properties.$ip = "203.0.113.0";
      },
      { ip: "203.0.113.0" },
    ],
    [
      "the address away, by its field",
      {},
      (e) => {
        e.ip = null;
      },
      { ip: null },
    ],
    ["the address away, in the properties", {}, (e) => void delete e.properties.$ip, { ip: null }],
    [
      "the address in both places",
      {},
      (e) => void Object.assign(e, { ip: "1.1.1.1", properties: { ...e.properties, $ip: "2.2.2.2" } }),
      { ip: "2.2.2.2" },
    ],
    [
      "an address that the client has sent",
      { properties: { $ip: "198.51.100.9" } },
      (e) => {
        e.properties.$ip = "198.51.100.0";
      },
      { ip: "198.51.100.0", properties: { $ip: "198.51.100.0" } },
    ],
    [
      "a person's property by its field",
      { $set: { email: "a@b.c", plan: "pro" } },
      (e) => void delete e.$set!.email,
      { $set: { plan: "pro" } },
    ],
    [
      "a person's property among the properties",
      { $set: { email: "a@b.c", plan: "pro" } },
      (e) => void delete (e.properties.$set as Record<string, unknown>).email,
      { $set: { plan: "pro" } },
    ],
    [
      "person's properties that were not there",
      {},
      (e) => {
        e.$set = { plan: "pro" };
      },
      { $set: { plan: "pro" } },
    ],
    [
      "person's properties in two places",
      { $set: { a: 1, b: 1 } },
      (e) =>
        void Object.assign(e, { $set: { ...e.$set, a: 2 }, properties: { ...e.properties, $set: { a: 1, b: 3 } } }),
      { $set: { a: 2, b: 3 } },
    ],
    [
      "person's properties that the client has sent among the properties",
      { properties: { $set: { email: "a@b.c" } } },
      (e) => {
        (e.properties.$set as Record<string, unknown>).email = "-";
      },
      { properties: { $set: { email: "-" } } },
    ],
    [
      "all properties, by a new object; those of the person stay",
      { $set: { plan: "pro" } },
      (e) => ({ ...e, properties: { only: 1 } }),
      { properties: { only: 1 }, $set: { plan: "pro" }, ip: null },
    ],
    [
      "the name, the user and the time",
      {},
      (e) => ({ event: "x", distinct_id: "u", properties: e.properties, timestamp: new Date(0), ip: e.ip }),
      { event: "x", distinct_id: "u", timestamp: "1970-01-01T00:00:00.000Z" },
    ],
  ])("lets a plugin change %s", (_, given, change, expected) => {
    const event = anEvent({ properties: { a: 1 }, ...given });
    expect(changed(event, change)).toEqual({ ...event, ...expected });
  });
});
