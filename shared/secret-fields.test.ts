import { expect, test } from "vitest";
import { fieldsAt, isFieldOf, mapFields, setField, valueAt } from "./secret-fields.ts";

const PATHS = ["token", "auth.password", "keys.*", "servers.*.key"];
const SETTINGS = {
  url: "u",
  token: "t",
  auth: { user: "me", password: "p" },
  keys: ["a", "b", "c"],
  servers: [{ key: "x" }, { name: "none" }, { key: "z" }],
};

test("the paths that exist are found, each item of a list by itself", () => {
  const fields = ["token", "auth.password", "keys.0", "keys.1", "keys.2", "servers.0.key", "servers.2.key"];
  expect(fieldsAt(SETTINGS, PATHS)).toEqual(fields);
  expect(fields.map((field) => valueAt(SETTINGS, field))).toEqual(["t", "p", "a", "b", "c", "x", "z"]);
  expect(fieldsAt({ keys: "no list", auth: null }, PATHS)).toEqual([]);
});

test("what is taken out and put back is what it was", () => {
  const opened = Object.fromEntries(fieldsAt(SETTINGS, PATHS).map((field) => [field, valueAt(SETTINGS, field)]));
  const without = mapFields(SETTINGS, PATHS, () => undefined);
  expect(without).toEqual({
    ...{ url: "u", auth: { user: "me" }, keys: [] },
    servers: [{}, { name: "none" }, {}],
  });
  for (const [field, value] of Object.entries(opened)) setField(without, field, value);
  expect(without).toEqual(SETTINGS);
});

test("one field is replaced where it stands, and nothing else is touched", () => {
  expect(mapFields(SETTINGS, ["keys.1"], (value, path) => `${path}=${value}`)).toEqual({
    ...SETTINGS,
    keys: ["a", "keys.1=b", "c"],
  });
  expect(SETTINGS.keys).toEqual(["a", "b", "c"]);
});

test.each([
  ["token", true],
  ["keys.7", true],
  ["keys.seven", false],
  ["keys", false],
  ["keys.1.2", false],
  ["servers.0.key", true],
  ["url", false],
])("that %s is one of them is %s", (field, is) => {
  expect(isFieldOf(PATHS, field)).toBe(is);
});
