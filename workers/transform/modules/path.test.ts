import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { getPath, hasPath, setPath, unsetPath } from "./path.ts";

const EVENT = () => ({
  properties: { items: [{ price: 1 }, { price: 2 }], name: null, "": 3 } as Record<string, unknown>,
});

describe("headwater:path", () => {
  it.each([
    ["properties.items.1.price", 2],
    ["properties.name", null],
    ["properties.", 3],
    ["properties.items.length", "nothing"],
    ["properties.items.01", "nothing"],
    ["properties.name.first", "nothing"],
    ["constructor.name", "nothing"],
    ["__proto__", "nothing"],
    ["properties.items.map", "nothing"],
  ])("reads %s", (path, value) => {
    expect(getPath(EVENT(), path, "nothing")).toBe(value);
    expect(hasPath(EVENT(), path)).toBe(value !== "nothing");
  });

  it.each([
    ["properties.name", { properties: { items: [{ price: 1 }, { price: 2 }], name: 9, "": 3 } }],
    [
      "properties.a.b.c",
      { properties: { items: [{ price: 1 }, { price: 2 }], name: null, "": 3, a: { b: { c: 9 } } } },
    ],
    ["properties.items.0.price", { properties: { items: [{ price: 9 }, { price: 2 }], name: null, "": 3 } }],
    ["properties.items.2", { properties: { items: [{ price: 1 }, { price: 2 }, 9], name: null, "": 3 } }],
    ["x", { ...EVENT(), x: 9 }],
    ["x.y", { ...EVENT(), x: { y: 9 } }],
  ])("writes %s", (path, after) => {
    const event = EVENT();
    expect(setPath(event, path, 9)).toBe(true);
    expect(event).toEqual(after);
  });

  it.each(["properties.name.first", "properties.items.4", "properties.items.x", "__proto__.polluted", "a.__proto__.b"])(
    "leaves all as it is where it cannot write %s",
    (path) => {
      const event = EVENT();
      expect(setPath(event, path, 9)).toBe(false);
      expect(event).toEqual(EVENT());
    },
  );

  it("takes values away, and closes the gap in an array", () => {
    const event = EVENT();
    expect(unsetPath(event, "properties.items.0")).toBe(true);
    expect(unsetPath(event, "properties.name")).toBe(true);
    expect(unsetPath(event, "properties.nothing")).toBe(false);
    expect(unsetPath(event, "properties.items.toString")).toBe(false);
    expect(event).toEqual({ properties: { items: [{ price: 2 }], "": 3 } });
  });

  it("reads what it has written, and never touches what objects inherit", () => {
    const key = fc.oneof(fc.constantFrom("a", "b", "0", "__proto__", "constructor", "prototype"), fc.string());
    fc.assert(
      fc.property(fc.object(), fc.array(key, { minLength: 1, maxLength: 6 }), (object, keys) => {
        const path = keys.join(".");
        const before = structuredClone(object);
        const isSet = setPath(object, path, "here");
        if (isSet) expect(getPath(object, path)).toBe("here");
        else expect(object).toEqual(before);
        expect(unsetPath(object, path)).toBe(isSet || hasPath(before, path));
        expect(({} as Record<string, unknown>).here).toBeUndefined();
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
    );
  });
});
