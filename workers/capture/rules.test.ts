import { describe, expect, it } from "vitest";
import type { RestrictionConfig } from "../../shared/config-sources.ts";
import type { Event } from "../../shared/event.ts";
import { compileFilter } from "../../shared/filter.ts";
import type { SourceSnapshot } from "../../shared/snapshot.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import type { Resolution } from "./resolution.ts";
import { applyRules, countRefused } from "./rules.ts";

const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";

function aSource(overrides: Partial<SourceSnapshot> = {}): SourceSnapshot {
  return { id: "web", protocol: "any", tokens: ["phc_web"], enabled: true, ip: "keep", ...overrides };
}

function withSource(overrides: Partial<SourceSnapshot>): Resolution {
  return { team: "acme", lanes: 1, source: aSource(overrides) };
}

function withRestrictions(...restrictions: RestrictionConfig[]): Resolution {
  return { team: "acme", lanes: 1, restrictions };
}

/** What becomes of one event: the reason why it goes, or the event. */
function ruled(resolution: Resolution, overrides: Partial<Event> = {}, token = "phc_web") {
  const event = anEvent({ uuid: UUID, ...overrides });
  const { events, refused } = applyRules([event], resolution, token);
  return refused.get(event) ?? events[0]!;
}

describe("without a source and restrictions", () => {
  it("the same list comes back, untouched", () => {
    const events = [anEvent(), anEvent()];
    const before = structuredClone(events);
    expect(applyRules(events, { team: "acme", lanes: 1 }, "phc_acme").events).toBe(events);
    expect(events).toEqual(before);
  });
});

describe("a source", () => {
  it("puts its id on its events, and on those that it refuses", () => {
    expect(ruled(withSource({}))).toMatchObject({ source: "web" });
    const events = [anEvent({ event: "a" }), anEvent({ event: "b" }), anEvent({ event: "c" })];
    const { events: kept, refused } = applyRules(events, withSource({ events: { allow: ["b"] } }), "phc_web");
    expect(kept).toEqual([expect.objectContaining({ event: "b", source: "web" })]);
    expect(countRefused(refused)).toEqual({ web: { event_not_allowed: 2 } });
  });

  it("that is off keeps nothing", () => {
    expect(ruled(withSource({ enabled: false }))).toBe("source_disabled");
  });

  it.each<[SourceSnapshot["events"], string, boolean]>([
    [{ allow: ["signup", "order_*"] }, "signup", true],
    [{ allow: ["signup", "order_*"] }, "order_paid", true],
    [{ allow: ["signup", "order_*"] }, "order", false],
    [{ allow: ["signup", "order_*"] }, "$pageview", false],
    [{ deny: ["$*"] }, "$pageview", false],
    [{ deny: ["$*"] }, "signup", true],
    [{ allow: ["*"], deny: ["debug"] }, "debug", false],
    [{ allow: ["*_paid"], deny: ["test*"] }, "test_paid", false],
    [{ allow: ["a.c"] }, "abc", false],
    [{}, "anything", true],
  ])("with %j and the event %s keeps it: %s", (events, event, isKept) => {
    const outcome = ruled(withSource({ ...(events === undefined ? {} : { events }) }), { event });
    expect(outcome === "event_not_allowed").toBe(!isKept);
  });

  it("samples the users that a filter samples, all of their events", () => {
    const inFilter = compileFilter({ sample: 0.3 });
    const resolution = withSource({ sample: 0.3 });
    let kept = 0;
    for (let n = 0; n < 1_000; n++) {
      const event = anEvent({ distinct_id: `user-${n}`, event: n % 2 === 0 ? "a" : "b" });
      const isKept = ruled(resolution, event) !== "sampled_out";
      expect(isKept).toBe(inFilter(event));
      kept += isKept ? 1 : 0;
    }
    expect(kept).toBeGreaterThan(250);
    expect(kept).toBeLessThan(350);
  });

  it.each([
    [0, "sampled_out"],
    [1, expect.objectContaining({ source: "web" })],
  ])("that samples %d of all users keeps none or all", (sample, expected) => {
    expect(ruled(withSource({ sample }))).toEqual(expected);
  });

  it("masks the address, what the client says of it included, and leaves the place", () => {
    const geo = { country: "DE", city: "Berlin", latitude: 52.5 };
    const segment = () => ({ context: { ip: "2001:db8:1:2::3", page: {} }, type: "track" });
    const properties = { $ip: "198.51.100.77", $segment: segment(), other: "198.51.100.77" };
    expect(ruled(withSource({ ip: "mask" }), { ip: "203.0.113.7", geo, properties })).toMatchObject({
      ip: "203.0.113.0",
      geo,
      properties: {
        $ip: "198.51.100.0",
        $segment: { context: { ip: "2001:db8:1::", page: {} } },
        other: "198.51.100.77",
      },
    });
  });

  it.each(["mask", "drop"] as const)("%s holds wherever a client says its address", (ip) => {
    const stated = () => ({ $ip: "198.51.100.77" });
    const properties = {
      ...stated(),
      $set: stated(),
      $set_once: stated(),
      $segment: { request_ip: "198.51.100.77", context: { ip: "198.51.100.77" } },
    };
    const event = ruled(withSource({ ip }), { ip: "198.51.100.77", properties, $set: stated(), $set_once: stated() });
    expect(JSON.stringify(event)).not.toContain("198.51.100.77");
  });

  it("that masks leaves no text in an address's place that is none", () => {
    const properties = { $ip: ["198.51.100.77"], $segment: { context: { ip: "localhost" } } };
    expect(ruled(withSource({ ip: "mask" }), { ip: null, properties })).toMatchObject({
      ip: null,
      properties: { $segment: { context: {} } },
    });
    expect(properties).not.toHaveProperty("$ip");
  });

  it("drops the address and the place, but country, region, continent and time zone; once for a whole request", () => {
    const kept = { country: "DE", region: "Berlin", timezone: "Europe/Berlin", continent: "EU" };
    const geo = { ...kept, city: "Berlin", latitude: 52.5, longitude: 13.4 };
    const events = [1, 2].map(() => anEvent({ ip: "203.0.113.7", geo, properties: { $ip: "203.0.113.7", a: 1 } }));
    const { events: ruled } = applyRules(events, withSource({ ip: "drop" }), "phc_web");
    expect(ruled).toMatchObject([
      { ip: null, geo: kept, properties: { a: 1 } },
      { ip: null, geo: kept, properties: { a: 1 } },
    ]);
    expect(ruled[0]!.geo).not.toHaveProperty("city");
    expect(ruled[0]!.properties).not.toHaveProperty("$ip");
    expect(ruled[0]!.geo).toBe(ruled[1]!.geo);
  });
});

describe("a restriction", () => {
  const event = { event: "signup", distinct_id: "u1" };
  it.each<[Omit<RestrictionConfig, "action">, boolean]>([
    [{}, true],
    [{ tokens: ["phc_web"] }, true],
    [{ tokens: ["phc_other"] }, false],
    [{ distinct_ids: ["u0", "u1"] }, true],
    [{ distinct_ids: ["u2"] }, false],
    [{ events: ["signup"] }, true],
    [{ events: ["sign*"] }, false],
    [{ uuids: [UUID.toUpperCase()] }, true],
    [{ uuids: ["01890a5d-ac96-774b-bcce-b302099a8058"] }, false],
    [{ tokens: ["phc_web"], distinct_ids: ["u1"], events: ["signup"], uuids: [UUID] }, true],
    [{ tokens: ["phc_web"], distinct_ids: ["u1"], events: ["other"] }, false],
    [{ tokens: ["phc_other"], distinct_ids: ["u1"] }, false],
  ])("%j holds: %s", (fields, holds) => {
    expect(ruled(withRestrictions({ action: "drop", ...fields }), event) === "restricted").toBe(holds);
  });

  it("of skip_person_processing wins over what the client says", () => {
    const resolution = withRestrictions({ action: "skip_person_processing", events: ["signup"] });
    const properties = { $process_person_profile: true };
    expect(ruled(resolution, { ...event, properties })).toMatchObject({
      properties: { $process_person_profile: false },
    });
    expect(ruled(resolution, { event: "other" })).not.toHaveProperty("properties.$process_person_profile");
  });

  it("of dead_letter says which one it was", () => {
    const resolution = withRestrictions(
      { action: "drop", events: ["x"] },
      { action: "dead_letter" },
      { action: "dead_letter" },
    );
    expect(ruled(resolution, event)).toMatchObject({
      quarantine: "a restriction of the team sends this event to the quarantine: restrictions[1]",
    });
  });

  it("drops before it quarantines, and quarantines beside skipping persons", () => {
    const skip = { action: "skip_person_processing" } as const;
    const dead = { action: "dead_letter" } as const;
    expect(ruled(withRestrictions(skip, dead, { action: "drop" }), event)).toBe("restricted");
    expect(ruled(withRestrictions(dead, skip), event)).toMatchObject({
      quarantine: expect.any(String),
      properties: { $process_person_profile: false },
    });
  });

  it("for one token holds for no other that the same snapshot is read for", () => {
    const resolution = withRestrictions({ action: "drop", tokens: ["phc_a"] });
    expect(ruled(resolution, event, "phc_a")).toBe("restricted");
    expect(ruled(resolution, event, "phc_b")).toMatchObject(event);
    expect(ruled(resolution, event, "phc_a")).toBe("restricted");
  });

  it("holds for what a source keeps, and is counted as the source's", () => {
    const resolution = { ...withSource({}), restrictions: [{ action: "drop" as const }] };
    const { refused } = applyRules([anEvent({ source: "posthog" })], resolution, "phc_web");
    expect(countRefused(refused)).toEqual({ web: { restricted: 1 } });
  });
});
