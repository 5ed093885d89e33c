import { describe, expect, it } from "vitest";
import { stackOf } from "./describe-error.ts";

const AUTHORED = { id: "scrub", module: "script-0.js" };

function errorWith(stack: unknown): Error {
  return Object.assign(new Error("x"), { stack });
}

describe("stackOf", () => {
  it("shows the author's own lines and the team's modules, innermost first", () => {
    const stack = [
      "Error: x",
      "    at lookUp (lib-rates.js:3:9)",
      "    at scale (script-0.js:7:14)",
      "    at Array.map (<anonymous>)",
      "    at script-0.js:9:1",
      "    at new Price (file:///bundle/script-0.js:11:1)",
      "    at transform (script-10.js:1:1)",
      "    at Script.call (harness.js:400:20)",
    ].join("\n");
    expect(stackOf(errorWith(stack), AUTHORED, (text) => text)).toEqual([
      "lookUp (rates:3)",
      "scale (scrub:7)",
      "scrub:9",
      "new Price (scrub:11)",
    ]);
  });

  it("ends where a reader has seen enough", () => {
    const stack = `Error: x\n${"    at down (script-0.js:2:3)\n".repeat(20)}`;
    expect(stackOf(errorWith(stack), AUTHORED, (text) => text)).toHaveLength(8);
  });

  it.each([
    ["no error", "text"],
    ["an error whose stack is no text", errorWith(5)],
    [
      "an error whose stack throws",
      Object.defineProperty(new Error(), "stack", { get: () => errorWith.call(null, x()) }),
    ],
  ])("is empty for %s", (_, error) => {
    expect(stackOf(error, AUTHORED, (text) => text)).toEqual([]);
  });
});

function x(): never {
  throw new Error("fights back");
}
