import fc from "fast-check";
import { expect, test } from "vitest";
import { findJsonError } from "./json-error.ts";

test.each([
  ["", 1, 1],
  ["{a}", 1, 2],
  ["[1,]", 1, 4],
  ['{\n  "a": 1\n  "b": 2\n}', 3, 3],
  ['{\n  "a": 1,\n}', 3, 1],
  ['{"a": tru}', 1, 7],
  ['["ends', 1, 2],
  ["[1] x", 1, 5],
  ["// comment\n{}", 1, 1],
])("the mistake in %j is at %i:%i", (text, line, column) => {
  expect(() => JSON.parse(text)).toThrow();
  expect(findJsonError(text)).toEqual({ line, column });
});

test("what JSON.parse takes has no mistake, and what it refuses has one", () => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.nat(),
      fc.constantFrom("", ",", "}", "]", '"', "x", "\n", "-"),
      (json, position, noise) => {
        const at = position % (json.length + 1);
        const text = json.slice(0, at) + noise + json.slice(at + 1);
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        expect(findJsonError(text) === null).toBe(isJson);
      },
    ),
  );
});
