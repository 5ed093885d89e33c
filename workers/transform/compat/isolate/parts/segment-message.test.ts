import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Event } from "../../../../../shared/event.ts";
import { EVENT_NAMES, MESSAGE_TYPES, type MessageType } from "../../../../../shared/segment-names.ts";
import { anEvent } from "../../../../../shared/testing/builders.ts";
import { type SegmentEnvelope, segmentEvent } from "../../../../capture/protocols/segment-event.ts";
import { clone, type JsonObject } from "./json.ts";
import { eventFrom, type Message, messageOf } from "./segment-message.ts";

const envelope = {
  nowMs: Date.parse("2026-01-01T00:00:01.000Z"),
  receivedAt: "2026-01-01T00:00:01.000Z",
  sentAtMs: null,
  sentAt: undefined,
  context: undefined,
  integrations: undefined,
  client: { ip: "203.0.113.7", geo: { country: "DE" } },
  source: "segment",
  nestingLevels: 50,
  mintUuid: () => "01890a5d-ac96-774b-bcce-b302099a8057",
} as SegmentEnvelope;

const text = fc.constantFrom("", "a", "https://x.example/p?q=1", "1.2.3");
const scalar = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
const bag = fc.dictionary(
  fc.constantFrom(
    "url",
    "path",
    "referrer",
    "title",
    "name",
    "email",
    "$ip",
    "$lib",
    "$current_url",
    "utm_source",
    "__proto__",
  ),
  fc.oneof(scalar, fc.jsonValue({ maxDepth: 1 })),
);
const anyContext = fc.record(
  {
    ip: text,
    userAgent: text,
    locale: scalar,
    library: fc.record({ name: text, version: text }, { requiredKeys: [] }),
    page: fc.record({ url: text, path: text, referrer: text, title: text }, { requiredKeys: [] }),
    campaign: fc.record({ source: text, name: text }, { requiredKeys: [] }),
    os: fc.oneof(scalar, bag),
    traits: bag,
    groupId: scalar,
    other: bag,
  },
  { requiredKeys: [] },
);
const anyMessage = fc
  .record(
    {
      type: fc.constantFrom(...MESSAGE_TYPES),
      userId: fc.constantFrom("u1", 7),
      anonymousId: fc.constantFrom("anon-1", "u1"),
      event: fc.constantFrom("Order", "$identify"),
      messageId: fc.constantFrom("m-1", "01890a5d-ac96-774b-bcce-b302099a8058"),
      properties: bag,
      traits: bag,
      context: anyContext,
      integrations: fc.constant({ All: true }),
      timestamp: fc.constant("2025-12-31T23:59:59+01:00"),
      originalTimestamp: fc.constant("2025-12-31T23:59:58.000Z"),
      name: text,
      category: text,
      groupId: fc.constantFrom("g1", 5),
      previousId: fc.constantFrom("old", 3),
      extra: fc.jsonValue({ maxDepth: 1 }),
    },
    { requiredKeys: ["type", "userId", "event", "groupId", "previousId"] },
  )
  .map((message) => JSON.parse(JSON.stringify(message)) as JsonObject & { type: MessageType });
const anyCaptured = anyMessage.map(captured);
const anyForeign: fc.Arbitrary<Event> = fc
  .record(
    {
      event: fc.constantFrom("signup", ...Object.values(EVENT_NAMES)),
      properties: fc.dictionary(
        fc.constantFrom(
          "$ip",
          "$lib",
          "$current_url",
          "$host",
          "$referrer",
          "title",
          "url",
          "$groups",
          "$group_key",
          "$group_set",
          "alias",
          "$device_id",
          "$os",
          "$set",
          "a",
        ),
        fc.oneof(scalar, bag, fc.constant("user-1")),
      ),
      $set: bag,
      ip: fc.constantFrom(null, "203.0.113.7"),
      sent_at: fc.constant("2026-01-01T00:00:02.000Z"),
    },
    { requiredKeys: ["properties", "event"] },
  )
  .map((parts) => JSON.parse(JSON.stringify(anEvent(parts as Partial<Event>))) as Event);

function captured(raw: JsonObject & { type: MessageType }): Event {
  // As it is parsed: capture adds to the objects that it is given.
  return segmentEvent(JSON.parse(JSON.stringify(raw)), raw.type, null, envelope);
}

function changed(event: Event, change: (message: Message) => unknown): Event {
  const before = messageOf(event);
  const given = clone(before);
  const after = (change(given) ?? given) as Message;
  return JSON.parse(JSON.stringify(eventFrom(after, before, event))) as Event;
}

const track = {
  type: "track" as const,
  userId: "u1",
  anonymousId: "anon-1",
  event: "Order",
  messageId: "01890a5d-ac96-774b-bcce-b302099a8057",
  timestamp: "2026-01-01T00:00:00.000Z",
  properties: { total: 3, email: "a@b.c" },
  context: {
    ip: "198.51.100.9",
    library: { name: "analytics.js", version: "4" },
    page: { url: "https://x.example/p?q=1", title: "P" },
    campaign: { source: "mail" },
    traits: { email: "a@b.c" },
    extra: true,
  },
  integrations: { All: true },
};

describe("a message for a RudderStack transformation", () => {
  it.each([
    ["captured as a message", anyCaptured],
    ["captured otherwise", anyForeign],
  ])("leaves an event that was %s as it is where the script does, byte for byte", (_, events) => {
    fc.assert(
      fc.property(events, (event) => {
        const before = JSON.stringify(event);
        const message = messageOf(event);
        expect(JSON.stringify(eventFrom(clone(message), message, event))).toBe(before);
        expect(JSON.stringify(eventFrom({ ...JSON.parse(JSON.stringify(message)) }, message, event))).toBe(before);
        expect(JSON.stringify(event)).toBe(before);
      }),
      { numRuns: 500 },
    );
  });

  it("is the message that was captured, with what the gateway adds", () => {
    expect(messageOf(captured(track))).toEqual({
      ...track,
      // What is derived under the names that other tools have stays visible.
      properties: { total: 3, email: "a@b.c", title: "P", utm_source: "mail" },
      originalTimestamp: "2026-01-01T00:00:00.000Z",
      sentAt: "2026-01-01T00:00:01.000Z",
      receivedAt: "2026-01-01T00:00:01.000Z",
      request_ip: "203.0.113.7",
    });
  });

  it("is made from the properties of an event that came otherwise", () => {
    const event = anEvent({
      properties: {
        $current_url: "https://x.example/p",
        $lib: "web",
        $host: "x.example",
        plan: "pro",
        $ip: "198.51.100.9",
      },
      $set: { email: "a@b.c" },
    });
    expect(messageOf(event)).toEqual({
      type: "page",
      userId: "user-1",
      messageId: event.uuid,
      properties: { plan: "pro", url: "https://x.example/p" },
      context: {
        ip: "198.51.100.9",
        library: { name: "web" },
        page: { url: "https://x.example/p" },
        traits: { email: "a@b.c" },
      },
      integrations: { All: true },
      originalTimestamp: event.timestamp,
      timestamp: event.timestamp,
      sentAt: event.received_at,
      receivedAt: event.received_at,
      request_ip: "203.0.113.7",
    });
  });

  /** A change to the message gives what capture makes of the message changed in the same way. */
  it.each<[string, (message: JsonObject) => void]>([
    [
      "a property",
      (m) => {
        (m.properties as JsonObject).total = 4;
      },
    ],
    ["a property away", (m) => void delete (m.properties as JsonObject).email],
    [
      "the name",
      (m) => {
        m.event = "Order Completed";
      },
    ],
    [
      "the page",
      (m) => {
        ((m.context as JsonObject).page as JsonObject).url = "https://y.example/";
      },
    ],
    ["the library away", (m) => void delete (m.context as JsonObject).library],
    [
      "the address",
      (m) => {
        (m.context as JsonObject).ip = "198.51.100.0";
      },
    ],
    [
      "a section that was not there",
      (m) => {
        (m.context as JsonObject).os = { name: "Linux" };
      },
    ],
    [
      "traits in the context",
      (m) => {
        ((m.context as JsonObject).traits as JsonObject).email = "-";
      },
    ],
    [
      "the campaign",
      (m) => {
        (m.context as JsonObject).campaign = { source: "web" };
      },
    ],
    ["the campaign away", (m) => void delete (m.context as JsonObject).campaign],
    [
      "the user",
      (m) => {
        m.userId = "u2";
      },
    ],
    ["the user away", (m) => void delete m.userId],
    [
      "integrations",
      (m) => {
        m.integrations = { All: false };
      },
    ],
    [
      "a field of its own",
      (m) => {
        m.enriched = { by: "script" };
      },
    ],
    [
      "the group",
      (m) => {
        m.groupId = "g1";
      },
    ],
  ])("lands where capture would have put it: %s", (_, change) => {
    const raw = clone(track) as JsonObject & { type: MessageType };
    change(raw);
    const expected = captured(raw);
    expect(changed(captured(track), (m) => change(m))).toEqual(expected);
  });

  it.each<[string, MessageType, JsonObject, (message: JsonObject) => void]>([
    [
      "traits",
      "identify",
      { traits: { email: "a@b.c", plan: "pro" } },
      (m) => void delete (m.traits as JsonObject).email,
    ],
    [
      "traits in the context",
      "identify",
      { context: { traits: { email: "a@b.c", plan: "pro" } } },
      (m) => {
        ((m.context as JsonObject).traits as JsonObject).email = "-";
      },
    ],
    [
      "the anonymous id",
      "identify",
      { anonymousId: "anon-1" },
      (m) => {
        m.anonymousId = "anon-2";
      },
    ],
    [
      "the url",
      "page",
      { properties: { url: "https://x/1" } },
      (m) => {
        (m.properties as JsonObject).url = "https://x/2";
      },
    ],
    [
      "the screen",
      "screen",
      { name: "Home" },
      (m) => {
        m.name = "Start";
      },
    ],
    [
      "traits of a group",
      "group",
      { traits: { name: "Acme" } },
      (m) => {
        (m.traits as JsonObject).name = "Emca";
      },
    ],
    [
      "the group's id",
      "group",
      {},
      (m) => {
        m.groupId = "g2";
      },
    ],
    [
      "the former id",
      "alias",
      {},
      (m) => {
        m.previousId = "older";
      },
    ],
  ])("does so for %s of %s", (_, type, more, change) => {
    const { event: __, properties: ___, ...rest } = track;
    const raw = () =>
      clone({ ...rest, context: {}, groupId: "g1", previousId: "old", ...more, type }) as JsonObject & {
        type: MessageType;
      };
    const other = raw();
    change(other);
    expect(changed(captured(raw()), (m) => change(m))).toEqual(captured(other));
  });

  it.each<[string, Partial<Event>, (message: Message) => unknown, Partial<Event>]>([
    [
      "the page",
      {},
      (m) => {
        (m.context.page as JsonObject).url = "https://y/";
      },
      { properties: { $current_url: "https://y/", $host: "y" } },
    ],
    [
      "a page's url",
      {},
      (m) => {
        m.properties.url = "https://y/";
      },
      { properties: { $current_url: "https://y/", $host: "y", url: "https://y/" } },
    ],
    [
      "traits",
      { $set: { email: "a" } },
      (m) => {
        (m.context.traits as JsonObject).email = "-";
      },
      { $set: { email: "-" } },
    ],
    [
      "the address",
      {},
      (m) => {
        m.request_ip = "203.0.113.0";
      },
      { ip: "203.0.113.0" },
    ],
    [
      "the address in the context",
      {},
      (m) => {
        m.context.ip = "203.0.113.0";
      },
      { ip: "203.0.113.0", properties: { $current_url: "https://x/", $ip: "203.0.113.0" } },
    ],
    [
      "what only messages have",
      {},
      (m) => void Object.assign(m, { enriched: 1, context: { ...m.context, extra: 2 } }),
      { properties: { $current_url: "https://x/", $segment: { enriched: 1, context: { extra: 2 } } } },
    ],
    ["type and name", {}, (m) => void Object.assign(m, { type: "track", event: "Seen" }), { event: "Seen" }],
    [
      "the time",
      {},
      (m) => {
        m.timestamp = "2025-01-01T00:00:00.000Z";
      },
      { timestamp: "2025-01-01T00:00:00.000Z" },
    ],
  ])("lets a script change %s of an event that came otherwise", (_, more, change, expected) => {
    const event = anEvent({ properties: { $current_url: "https://x/" }, ...more });
    expect(changed(event, change)).toEqual({ ...event, ...expected });
  });

  it("refuses a type that there is not", () => {
    expect(() => changed(anEvent(), (m) => ({ ...m, type: "merge" }))).toThrow('returned a message of type "merge"');
  });
});
