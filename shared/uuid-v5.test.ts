import { describe, expect, it } from "vitest";
import { UuidV5 } from "./uuid-v5.ts";

/** The namespace for domain names (RFC 9562, 6.6). */
const DNS = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

describe("UuidV5", () => {
  it("makes the UUID of the example in RFC 9562, appendix A.4", () => {
    expect(new UuidV5(DNS).of("www.example.com")).toBe("2ed6657d-e927-568b-95e1-2665a8aea6a2");
  });

  it("gives the same name the same UUID, and other names and namespaces others", () => {
    const uuids = new UuidV5(DNS);
    const other = new UuidV5("6ba7b811-9dad-11d1-80b4-00c04fd430c8");
    expect(uuids.of("a")).toBe(uuids.of("a"));
    expect(new Set([uuids.of("a"), uuids.of("b"), uuids.of(""), uuids.of("ä"), other.of("a")]).size).toBe(5);
  });

  it("marks version 5 and the variant for every name", () => {
    const uuids = new UuidV5(DNS);
    for (let n = 0; n < 200; n++) {
      expect(uuids.of(`name ${n}`)).toMatch(/^[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    }
  });

  it("refuses a namespace that is no UUID", () => {
    expect(() => new UuidV5("names")).toThrow('"names" is no UUID');
  });
});
