import { expect, test } from "vitest";
import { CliError } from "./cli-error.ts";
import { parseFixture } from "./fixture.ts";
import { differences } from "./test-outcome.ts";

test("a list of events is a fixture of the only team's whole chain", () => {
  const fixture = parseFixture("/x/signup.events.json", '[{"event":"signup"},{"event":"b","distinct_id":"u2"}]');
  expect(fixture).toMatchObject({
    expectedPath: "/x/signup.expected.json",
    team: undefined,
    transformation: undefined,
  });
  expect(fixture.events).toMatchObject([
    { event: "signup", distinct_id: "user-1", properties: {}, source: "posthog" },
    { event: "b", distinct_id: "u2" },
  ]);
});

test("what a fixture leaves out is the same every time, and each event has a uuid of its own", () => {
  const read = () => parseFixture("/x/a.events.json", '[{"event":"a"},{"event":"a"}]').events;
  expect(read()).toEqual(read());
  expect(read()[0]?.uuid).not.toBe(read()[1]?.uuid);
});

test("an event's own fields stay, in the order in which capture writes them", () => {
  const text = '[{"source":"web","$set":{"a":1},"event":"a","geo":{"country":"DE"},"extra":true}]';
  const [event] = parseFixture("/x/a.events.json", text).events;
  expect(Object.keys(event ?? {})).toEqual([
    ...[
      "uuid",
      "event",
      "distinct_id",
      "timestamp",
      "properties",
      "$set",
      "ip",
      "geo",
      "received_at",
      "source",
      "extra",
    ],
  ]);
});

test.each([
  ["[{]", /a\.events\.json: not JSON/],
  ['{"events":[{"name":"a"}]}', /events\[0\]\.event: every event needs its name/],
  ['[{"event":"a","properties":7}]', /\[0\]\.properties: /],
  ["7", /a\.events\.json/],
])("%s is refused with its place", (text, message) => {
  const read = () => parseFixture("/x/a.events.json", text);
  expect(read).toThrow(CliError);
  expect(read).toThrow(message);
});

test("differences name the place, in lists and objects", () => {
  const outcome = { events: [{ event: "a", properties: { n: 1, same: [1, 2] } }, { event: "b" }], dropped: [2] };
  expect(differences(outcome, outcome)).toEqual([]);
  expect(differences({ events: [{ event: "a", properties: { n: 2, same: [1, 3] } }] }, outcome)).toEqual([
    { path: "events[0].properties.n", before: 2, after: 1 },
    { path: "events[0].properties.same[1]", before: 3, after: 2 },
    { path: "events[1]", before: null, after: { event: "b" } },
    { path: "dropped", before: null, after: [2] },
  ]);
});

test("a list stands for an outcome that is nothing but its events", () => {
  expect(differences([{ event: "a" }], { events: [{ event: "a" }] })).toEqual([]);
  expect(differences([{ event: "a" }], { events: [], dropped: [0] })).toHaveLength(2);
});
