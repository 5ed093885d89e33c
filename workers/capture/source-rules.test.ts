import { describe, expect, it } from "vitest";
import type { SourceSnapshot } from "../../shared/snapshot.ts";
import { DEFAULT_LIMITS } from "./decode/limits.ts";
import { limitsOf, type ProtocolKind, requireTaken } from "./source-rules.ts";

function withSource(overrides: Partial<SourceSnapshot> = {}) {
  const source: SourceSnapshot = {
    id: "web",
    protocol: "any",
    tokens: ["phc_web"],
    enabled: true,
    ip: "keep",
    ...overrides,
  };
  return { team: "acme", lanes: 1, source };
}

describe("what a token takes", () => {
  const kinds: ProtocolKind[] = ["posthog", "segment", "pixel", "webhook"];
  it.each<[SourceSnapshot["protocol"], ProtocolKind[]]>([
    ["any", ["posthog", "segment", "pixel"]],
    ["posthog", ["posthog"]],
    ["segment", ["segment"]],
    ["pixel", ["pixel"]],
    ["webhook", ["webhook"]],
  ])("a source for %s takes %j", (protocol, taken) => {
    for (const kind of kinds) {
      const ask = () => requireTaken(withSource({ protocol }), kind, null);
      if (taken.includes(kind)) expect(ask).not.toThrow();
      else expect(ask).toThrow(/^the source web of this token takes /);
    }
  });

  it("a token of the team takes all but incoming webhooks, which need a source", () => {
    for (const kind of ["posthog", "segment", "pixel"] as const) requireTaken({ team: "acme", lanes: 1 }, kind, null);
    expect(() => requireTaken({ team: "acme", lanes: 1 }, "webhook", null)).toThrow(
      "a token of a team takes the events of any SDK, and no incoming webhooks: those need a source of their own",
    );
  });
});

describe("origins", () => {
  it.each<[string[] | undefined, string | null, boolean]>([
    [undefined, "https://evil.example", true],
    [["https://shop.example"], "https://shop.example", true],
    [["https://shop.example"], "HTTPS://SHOP.EXAMPLE", true],
    [["https://shop.example"], null, true],
    [["https://shop.example"], "http://shop.example", false],
    [["https://shop.example"], "https://shop.example:8443", false],
    [["https://shop.example"], "https://shop.example.evil", false],
    [["https://shop.example"], "null", false],
    [["https://shop.example"], "", false],
    [["https://*.shop.example"], "https://www.shop.example", true],
    [["https://*.shop.example"], "https://a.b.shop.example", true],
    [["https://*.shop.example"], "https://shop.example", false],
    [["https://*.shop.example"], "https://.shop.example", false],
    [["https://*.shop.example"], "https://evilshop.example", false],
    [["https://*.shop.example"], "http://www.shop.example", false],
    [["https://a.example", "http://localhost:3000"], "http://localhost:3000", true],
    [["*"], "null", true],
  ])("%j lets in %s: %s", (origins, origin, isIn) => {
    const ask = () => requireTaken(withSource(origins === undefined ? {} : { origins }), "posthog", origin);
    if (isIn) expect(ask).not.toThrow();
    else expect(ask).toThrow("the source web takes nothing from this origin; allow it in its origins");
  });
});

describe("the size of events", () => {
  it("is the source's where that is less, and the same limits come back where it says nothing", () => {
    expect(limitsOf(withSource(), DEFAULT_LIMITS)).toBe(DEFAULT_LIMITS);
    expect(limitsOf({ team: "acme", lanes: 1 }, DEFAULT_LIMITS)).toBe(DEFAULT_LIMITS);
    expect(limitsOf(withSource({ max_event_bytes: 5_000 }), DEFAULT_LIMITS)).toEqual({
      ...DEFAULT_LIMITS,
      eventBytes: 5_000,
    });
    expect(limitsOf(withSource({ max_event_bytes: 1_048_576 }), DEFAULT_LIMITS).eventBytes).toBe(
      DEFAULT_LIMITS.eventBytes,
    );
  });
});
