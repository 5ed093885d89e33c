import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileFilter, type Filter } from "./filter.ts";
import { FilterSchema } from "./filter-schema.ts";
import { anEvent } from "./testing/builders.ts";

const event = anEvent({
  event: "signup",
  properties: {
    plan: "pro",
    seats: 5,
    trial: false,
    none: null,
    tags: ["a", "b"],
    at: "2026-02-01T00:00:00Z",
    made: new Date("2026-01-01T00:00:00Z"),
    "utm.source": "mail",
    utm: { source: "web", medium: "cpc" },
    $set: { email: "x@example.com" },
  },
});

function takes(filter: unknown): boolean {
  return compileFilter(FilterSchema.parse(filter))(event);
}

describe("compileFilter", () => {
  it.each<[expected: boolean, filter: unknown]>([
    [true, { event: { eq: "signup" } }],
    [false, { event: { eq: "Signup" } }],
    [true, { event: { in: ["$pageview", "signup"] } }],
    [false, { event: { not_in: ["$pageview", "signup"] } }],
    [true, { event: { pattern: "sign*" } }],
    [true, { property: "plan", eq: "pro" }],
    [false, { property: "plan", eq: "free" }],
    [true, { property: "plan", neq: "free" }],
    [true, { property: "missing", neq: "free" }],
    [false, { property: "seats", eq: "5" }],
    [true, { property: "none", eq: null }],
    [false, { property: "missing", eq: null }],
    [true, { property: "none", exists: true }],
    [false, { property: "missing", exists: true }],
    [true, { property: "missing", exists: false }],
    [true, { property: "missing", not_in: ["a"] }],
    [true, { property: "trial", in: [false, "no"] }],
    [true, { property: "seats", gt: 4 }],
    [false, { property: "seats", gt: 5 }],
    [true, { property: "seats", gte: 5, lt: 6 }],
    [false, { property: "seats", gte: 5, lt: 5 }],
    [true, { property: "seats", lte: 5 }],
    [false, { property: "seats", gt: "4" }],
    [false, { property: "missing", lt: 5 }],
    [false, { property: "none", lte: 0 }],
    [true, { property: "at", gte: "2026-01-31", lt: "2026-03-01" }],
    [true, { property: "made", eq: "2026-01-01T00:00:00.000Z" }],
    [true, { property: "plan", contains: "r" }],
    [false, { property: "plan", contains: "x" }],
    [true, { property: "tags", contains: "b" }],
    [false, { property: "tags", contains: "ab" }],
    [false, { property: "seats", contains: "5" }],
    [true, { property: "utm.source", eq: "mail" }],
    [true, { property: "utm.medium", eq: "cpc" }],
    [false, { property: "utm.medium.deeper", exists: true }],
    [true, { property: "$set.email", pattern: "*@example.com" }],
    [true, { property: "tags.1", eq: "b" }],
    [false, { property: "constructor", exists: true }],
    [false, { property: "utm.constructor", exists: true }],
    [true, { all: [{ event: { eq: "signup" } }, { property: "plan", eq: "pro" }] }],
    [false, { all: [{ event: { eq: "signup" } }, { property: "plan", eq: "free" }] }],
    [true, { all: [] }],
    [true, { any: [{ event: { eq: "x" } }, { property: "plan", eq: "pro" }] }],
    [false, { any: [] }],
    [false, { not: { event: { eq: "signup" } } }],
    [true, { not: { any: [{ event: { eq: "x" } }, { not: { property: "plan", eq: "pro" } }] } }],
    [true, { sample: 1 }],
    [false, { sample: 0 }],
  ])("is %s for %j", (expected, filter) => {
    expect(takes(filter)).toBe(expected);
  });

  it.each<[pattern: string, text: string, expected: boolean]>([
    ["", "", true],
    ["*", "", true],
    ["*", "anything", true],
    ["a*", "abc", true],
    ["a*", "ba", false],
    ["*c", "abc", true],
    ["a*c", "ac", true],
    ["ab*bc", "abc", false],
    ["a*b*c", "axxbyyc", true],
    ["a*b*c", "axxcyyb", false],
    ["*b*", "abc", true],
    ["a**c", "abc", true],
    [".*", "abc", false],
  ])("matches %j with %j: %s", (pattern, text, expected) => {
    const test = compileFilter({ property: "text", pattern });
    expect(test(anEvent({ properties: { text } }))).toBe(expected);
  });

  it("matches patterns as the same regular expression would", () => {
    const piece = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 6 });
    const text = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 });
    fc.assert(
      fc.property(piece, text, (pattern, value) => {
        const expected = new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(value);
        expect(compileFilter({ event: { pattern } })(anEvent({ event: value }))).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it("obeys the laws of logic", () => {
    const leaf = fc.constantFrom<Filter>(
      { event: { eq: "signup" } },
      { event: { eq: "x" } },
      { property: "seats", gt: 3 },
      { property: "none", exists: false },
      { sample: 0.5 },
    );
    const { tree } = fc.letrec<{ tree: Filter }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.record({ not: tie("tree") }),
        fc.record({ all: fc.array(tie("tree"), { maxLength: 3 }) }),
        fc.record({ any: fc.array(tie("tree"), { maxLength: 3 }) }),
      ),
    }));
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 3 }), (filters) => {
        const all = compileFilter({ all: filters })(event);
        expect(all).toBe(!compileFilter({ any: filters.map((not) => ({ not })) })(event));
        expect(all).toBe(filters.every((filter) => compileFilter(filter)(event)));
        expect(FilterSchema.parse({ all: filters })).toEqual({ all: filters });
      }),
    );
  });

  it("keeps about the share of users that `sample` names, the same ones for every larger share", () => {
    const users = Array.from({ length: 10_000 }, (_, i) => anEvent({ distinct_id: `user-${i}` }));
    const half = users.filter(compileFilter({ sample: 0.5 }));
    const tenth = users.filter(compileFilter({ sample: 0.1 }));
    expect(half.length).toBeGreaterThan(4_800);
    expect(half.length).toBeLessThan(5_200);
    expect(tenth.length).toBeGreaterThan(900);
    expect(tenth.length).toBeLessThan(1_100);
    expect(tenth.every((user) => half.includes(user))).toBe(true);
  });
});

describe("FilterSchema", () => {
  it.each([
    [{}],
    [{ event: "signup" }],
    [{ event: {} }],
    [{ property: "plan" }],
    [{ property: "", eq: 1 }],
    [{ property: "plan", equals: "pro" }],
    [{ property: "plan", in: "pro" }],
    [{ property: "plan", gt: true }],
    [{ all: { event: { eq: "x" } } }],
    [{ all: [], any: [] }],
    [{ all: [{ property: "plan" }] }],
    [{ sample: 2 }],
    [{ not: null }],
  ])("refuses %j", (filter) => {
    expect(FilterSchema.safeParse(filter).success).toBe(false);
  });
});
