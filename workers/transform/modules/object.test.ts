import { describe, expect, it } from "vitest";
import { flatten, mapKeys, mapValues, omit, pick, removeNulls, rename } from "./object.ts";

function nested(depth: number): Record<string, unknown> {
  let value: Record<string, unknown> = { end: null };
  for (let i = 0; i < depth; i++) value = { a: value };
  return value;
}

describe("flatten", () => {
  it("joins names, and keeps arrays, empty objects and what is no plain object", () => {
    const date = new Date(0);
    expect(flatten({ a: { b: { c: 1 }, d: [1, { e: 2 }] }, f: {}, g: null, date })).toEqual({
      "a.b.c": 1,
      "a.d": [1, { e: 2 }],
      f: {},
      g: null,
      date,
    });
  });

  it("takes another separator, arrays apart, and fewer levels", () => {
    expect(flatten({ a: { b: [1, { c: 2 }] } }, { separator: "__", arrays: true })).toEqual({
      a__b__0: 1,
      a__b__1__c: 2,
    });
    expect(flatten({ a: { b: { c: 1 } } }, { depth: 2 })).toEqual({ "a.b": { c: 1 } });
  });

  it("stops where names would grow without end", () => {
    const [name] = Object.keys(flatten(nested(100_000)));
    expect(name?.split(".")).toHaveLength(32);
  });
});

describe("removeNulls", () => {
  it("goes through objects and arrays, and changes nothing that it is given", () => {
    const given = Object.freeze({
      a: null,
      b: undefined,
      c: { d: null, e: [null, 1, { f: null }] },
      g: 0,
      h: "",
      i: false,
    });
    expect(removeNulls(given)).toEqual({ c: { e: [1, {}] }, g: 0, h: "", i: false });
    expect(given.a).toBeNull();
  });

  it("takes empty texts and what becomes empty too, if asked", () => {
    const options = { emptyTexts: true, emptyObjects: true };
    expect(removeNulls({ a: { b: { c: null } }, d: [null, [""]], e: "", f: 1 }, options)).toEqual({ f: 1 });
  });

  it("survives what is nested deeply", () => {
    expect(removeNulls(nested(100_000))).toHaveProperty("a.a.a");
  });
});

describe("names and values", () => {
  const given = Object.freeze({ a: 1, b: 2, c: 3 });

  it("are picked, left out, renamed and mapped", () => {
    expect(pick(given, ["a", "c", "toString", "x"])).toEqual({ a: 1, c: 3 });
    expect(omit(given, ["a", "x"])).toEqual({ b: 2, c: 3 });
    expect(rename(given, { a: "z", x: "y" })).toEqual({ z: 1, b: 2, c: 3 });
    expect(rename(given, { a: "b" })).toEqual({ b: 1, c: 3 });
    expect(rename(given, { a: "b", b: "a" })).toEqual({ b: 1, a: 2, c: 3 });
    expect(mapKeys(given, (name, value) => (value === 2 ? null : name.toUpperCase()))).toEqual({ A: 1, C: 3 });
    expect(mapValues(given, (value, name) => `${name}${value}`)).toEqual({ a: "a1", b: "b2", c: "c3" });
  });

  it("may be called __proto__ without becoming one", () => {
    const hostile = JSON.parse('{"__proto__": {"polluted": 1}}');
    for (const made of [
      rename(hostile, {}),
      mapValues(hostile, (v) => v),
      removeNulls(hostile),
      rename({ a: {} }, { a: "__proto__" }),
    ]) {
      expect(Object.getPrototypeOf(made)).toBe(Object.prototype);
      expect(Object.hasOwn(made, "__proto__")).toBe(true);
    }
  });
});
