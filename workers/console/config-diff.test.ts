import { expect, test } from "vitest";
import { diffConfig } from "./config-diff.ts";

const TEAM = {
  id: "acme",
  tokens: ["a"],
  transformations: [
    { id: "one", code: "1" },
    { id: "two", code: "2" },
  ],
  destinations: [{ id: "hook", kind: "webhook", url: "https://a", batch: { max_events: 1 } }],
};

test("the same is no change, whatever the order of keys", () => {
  const [hook] = TEAM.destinations;
  const { id, ...rest } = hook as (typeof TEAM.destinations)[0];
  expect(diffConfig(TEAM, { ...TEAM, destinations: [{ ...rest, id }] })).toEqual([]);
});

test("a change is reported at the smallest value that differs, by id", () => {
  const after = { ...TEAM, destinations: [{ ...TEAM.destinations[0], url: "https://b", batch: { max_events: 2 } }] };
  expect(diffConfig(TEAM, after)).toEqual([
    { path: "destinations.hook.url", before: "https://a", after: "https://b" },
    { path: "destinations.hook.batch.max_events", before: 1, after: 2 },
  ]);
});

test("what comes and what goes is reported whole", () => {
  const print = { id: "print", kind: "terminal" };
  expect(diffConfig(TEAM, { ...TEAM, destinations: [print] })).toEqual([
    { path: "destinations.hook", before: TEAM.destinations[0], after: null },
    { path: "destinations.print", before: null, after: print },
  ]);
  expect(diffConfig(null, TEAM)).toEqual([{ path: "", before: null, after: TEAM }]);
  expect(diffConfig(TEAM, null)).toEqual([{ path: "", before: TEAM, after: null }]);
});

test("scripts in another order are a change", () => {
  const after = { ...TEAM, transformations: TEAM.transformations.toReversed() };
  expect(diffConfig(TEAM, after)).toEqual([{ path: "transformations", before: ["one", "two"], after: ["two", "one"] }]);
});

test("scripts that come and go are no change of order", () => {
  const [one] = TEAM.transformations;
  expect(diffConfig(TEAM, { ...TEAM, transformations: [{ id: "zero" }, one] }).map(({ path }) => path)).toEqual([
    "transformations.two",
    "transformations.zero",
  ]);
});

test("a list of plain values is compared whole", () => {
  expect(diffConfig(TEAM, { ...TEAM, tokens: ["a", "b"] })).toEqual([
    { path: "tokens", before: ["a"], after: ["a", "b"] },
  ]);
});
