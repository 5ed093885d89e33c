import { parse } from "acorn";
import { describe, expect, it } from "vitest";
import { freeIdentifiers } from "./free-identifiers.ts";
import { PARSE_OPTIONS } from "./fuel.ts";

const freeIn = (code: string) =>
  [...new Set([...freeIdentifiers(parse(code, PARSE_OPTIONS))].map(({ name }) => name))].sort();

describe("freeIdentifiers", () => {
  it.each([
    ["a use", "x();", ["x"]],
    ["an assignment", "x = 1;", ["x"]],
    ["a default", "function f(a = x) { return a; }", ["x"]],
    ["a computed key", "const o = { [x]: 1 }; o[y];", ["x", "y"]],
    ["a shorthand", "const o = { x };", ["x"]],
    ["a tagged template", "x`a`;", ["x"]],
    ["a class that extends", "class A extends B { [k] = v; }", ["B", "k", "v"]],
    ["an assignment pattern", "let a; ({ a = d, ...rest } = a);", ["d", "rest"]],
    ["a block's own after the block", "{ const x = 1; } x;", ["x"]],
    ["a let of a loop after the loop", "for (let x = 0; ; ) {} x;", ["x"]],
    ["a caught one after the catch", "try {} catch (x) {} x;", ["x"]],
    ["a function expression's name outside of it", "const f = function x() {}; x;", ["x"]],
    ["arguments outside of functions", "const f = () => arguments;", ["arguments"]],
  ])("sees %s", (_, code, names) => {
    expect(freeIn(code)).toEqual(names);
  });

  it.each([
    ["imports", 'import x, { a as y } from "m"; import * as z from "m"; x; y; z;'],
    ["re-exports", 'export { x } from "m"; export * as y from "m"; export * from "m";'],
    ["members and keys", "const o = { x: 1, y() {}, get z() {} }; o.w; class A { v = 1; u() {} static #t = 1; }"],
    ["labels", "x: for (;;) { break x; } y: for (;;) continue y;"],
    ["parameters", "function f(a, { b, c: [d] }, ...e) { return [a, b, d, e]; }"],
    ["var out of blocks, before it stands", "x; { if (1) for (var x of []) {} }"],
    ["functions before they stand", "f(); function f() {}"],
    ["a function's own name", "const g = function f() { f(); };"],
    ["a class's own name", "const C = class D { m() { return D; } };"],
    ["loops", "for (const [a, b] of []) { a; b; } for (let i = 0; i; i++) i; for (const k in {}) k;"],
    ["switches", "switch (1) { case 0: let x; case 1: x; }"],
    ["catches", "try {} catch ({ message }) { message; }"],
    ["static blocks", "class A { static { var x; const y = x; y; } }"],
    ["arguments", "function f() { return () => arguments; }"],
    ["names imported and exported as others", "const a = 1; export { a as x };"],
    [
      "exported declarations",
      "export const a = 1, { b } = {}; export class C {} a; b; C; export default function d() { d; }",
    ],
    ["new.target", "function F() { return new.target; }"],
  ])("knows the declarations of %s", (_, code) => {
    expect(freeIn(code)).toEqual([]);
  });
});
