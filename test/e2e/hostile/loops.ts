import type { HostileGroup } from "./hostile-script.ts";

export const loops: HostileGroup = {
  title: "endless loops",
  scripts: [
    { what: "plain", ends: "fuel", code: "while (true) {}" },
    { what: "without a body", ends: "fuel", code: "for (;;);" },
    { what: "do … while in one line", ends: "fuel", code: "let i = 0; do i++; while (i >= 0);" },
    { what: "of comma expressions", ends: "fuel", code: "for (let i = 0; i++, i > 0; i, i);" },
    { what: "of a labelled continue", ends: "fuel", code: "outer: for (;;) { for (;;) continue outer; }" },
    {
      what: "of break and continue in a switch",
      ends: "fuel",
      code: "let n = 0; again: while (true) switch (n++ % 2) { case 0: continue again; default: break; }",
    },
    { what: "in catch", ends: "fuel", code: "try { throw 1; } catch { for (;;) {} }" },
    {
      what: "in catch, around its own end",
      ends: "fuel",
      code: "const again = () => { try { for (;;) {} } catch { again(); } }; again(); return event;",
    },
    { what: "in finally", ends: "fuel", code: "try { return event; } finally { for (;;) {} }" },
    {
      what: "in finally, over what stopped it",
      ends: "fuel",
      code: "for (;;) { try { for (;;) {} } finally { continue; } }",
    },
    { what: "in a getter", ends: "fuel", code: "return { get event() { for (;;) {} } };" },
    {
      what: "in a setter",
      ends: "fuel",
      code: "return { ...event, set uuid(u) { for (;;) {} }, get uuid() { return 1; } };",
    },
    {
      what: "of a getter that gets itself",
      ends: "error",
      says: "RangeError",
      code: "const o = { get a() { return this.a; } }; return o.a;",
    },
    {
      what: "in a generator",
      ends: "fuel",
      code: "function* all() { for (;;) yield 1; } for (const one of all()) {} ",
    },
    {
      what: "in generators that delegate to each other",
      ends: "error",
      says: "RangeError",
      code: "function* a() { yield* b(); } function* b() { yield* a(); } for (const one of a()) {}",
    },
    {
      what: "of a generator that begins again",
      ends: "fuel",
      code: "function* a() { yield 1; } function* b() { for (;;) yield* a(); } [...b()];",
    },
    {
      what: "in an iterator that is spread",
      ends: "fuel",
      code: "[...{ [Symbol.iterator]: () => ({ next: () => ({ value: 1 }) }) }];",
    },
    {
      what: "in an iterator that is taken apart",
      ends: "fuel",
      code: "const [...all] = { *[Symbol.iterator]() { for (;;) yield 1; } };",
    },
    {
      what: "in an iterator that is passed as arguments",
      ends: "fuel",
      code: "Math.max(...{ [Symbol.iterator]: () => ({ next: () => ({ value: 1 }) }) });",
    },
    {
      what: "in an iterator that Promise.all reads",
      ends: "fuel",
      code: "Promise.all({ *[Symbol.iterator]() { for (;;) { for (let i = 0; i < 100; i++); yield 1; } } }); return event;",
    },
    {
      what: "in an iterator that a Set reads",
      ends: "fuel",
      code: "new Set({ [Symbol.iterator]: () => ({ next: () => ({ value: 1 }) }) });",
    },
    { what: "in Array.from of a length", ends: "fuel", code: "Array.from({ length: 1e9 }, (_, i) => i);" },
    { what: "in a comparator of sort", ends: "fuel", code: "[3, 1, 2].sort(() => { for (;;) {} });" },
    {
      what: "in a comparator that never agrees",
      ends: "fuel",
      code: "Array.from({ length: 99_999 }, () => 1).sort(() => Math.random() - 0.5);",
    },
    { what: "in a callback of replace", ends: "fuel", code: 'return "aaa".replace(/a/g, () => { for (;;) {} });' },
    { what: "in a trap of a Proxy", ends: "fuel", code: "return new Proxy(event, { get() { for (;;) {} } });" },
    {
      what: "in ownKeys of a Proxy",
      ends: "fuel",
      code: "event.properties = new Proxy({}, { ownKeys() { for (;;) {} } }); return event;",
    },
    { what: "in Symbol.toPrimitive", ends: "fuel", code: "return '' + { [Symbol.toPrimitive]() { for (;;) {} } };" },
    { what: "in valueOf", ends: "fuel", code: "return 1 + { valueOf() { for (;;) {} } };" },
    {
      what: "in Symbol.hasInstance",
      ends: "fuel",
      code: "return event instanceof { [Symbol.hasInstance]() { for (;;) {} } };",
    },
    { what: "in a reviver of JSON.parse", ends: "fuel", code: 'return JSON.parse("[1]", () => { for (;;) {} });' },
    {
      what: "in a reviver that makes what it visits",
      ends: "fuel",
      code: 'JSON.parse("[[1]]", function (k, v) { if (Array.isArray(v)) v.push([1]); this[1] = [1]; return v; }); for (;;) {}',
    },
    { what: "in toJSON", ends: "fuel", code: "event.properties.x = { toJSON() { for (;;) {} } }; return event;" },
    { what: "in toJSON of the event", ends: "fuel", code: "event.toJSON = () => { for (;;) {} }; return event;" },
    { what: "in a tagged template", ends: "fuel", code: "const tag = () => { for (;;) {} }; return tag`a`;" },
    { what: "in a default value", ends: "fuel", code: "const f = (a = (() => { for (;;) {} })()) => a; return f();" },
    { what: "in a computed key", ends: "fuel", code: "return { [(() => { for (;;) {} })()]: 1 };" },
    { what: "in a static block", ends: "fuel", code: "class A { static { for (;;) {} } }" },
    { what: "in a class field", ends: "fuel", code: "class A { a = (() => { for (;;) {} })(); } new A();" },
    { what: "of calls in a chain", ends: "fuel", code: "const f = () => f; let g = f; for (;;) g = g()()();" },
    { what: "of calls to bind", ends: "fuel", code: "let f = () => 1; for (;;) f = f.bind(null);" },
    {
      what: "in the top level",
      ends: "fuel",
      says: "does not load",
      code: "for (;;) {}\nexport const transform = (event) => event;",
    },
    {
      what: "in a module of the team",
      ends: "fuel",
      shared: "export function spin() { for (;;) {} }",
      code: 'import { spin } from "shared";\nexport const transform = () => spin();',
    },
    {
      what: "in the top level of a module of the team",
      ends: "fuel",
      says: "does not load",
      shared: "export const spin = 1; for (;;) {}",
      code: 'import { spin } from "shared";\nexport const transform = () => spin;',
    },
    {
      what: "in transformBatch",
      ends: "fuel",
      code: "export function transformBatch(events) { for (;;) {} }",
      events: 5,
    },
    {
      what: "in what transformBatch returns",
      ends: "fuel",
      code: "export const transformBatch = (events) => new Proxy(events, { get: (_, key) => { for (;;) {} } });",
      events: 5,
    },
    { what: "in a destination's script", ends: "fuel", isDestination: true, code: "for (;;) {}" },
    {
      what: "in toJSON of a destination's body",
      ends: "fuel",
      isDestination: true,
      code: "return { body: { toJSON() { for (;;) {} } } };",
    },
    {
      what: "in setupPlugin",
      ends: "fuel",
      says: "does not load",
      code: "export function setupPlugin() { for (;;) {} }\nexport const processEvent = (event) => event;",
    },
    {
      what: "in a plugin's promise",
      ends: "fuel",
      code: "export async function processEvent(event) { await null; for (;;) {} }",
    },
    {
      what: "of promises",
      ends: "fuel",
      code: "export async function processEvent(event) { for (;;) await null; }",
    },
    {
      what: "of promises that lead to each other",
      ends: "fuel",
      code: "export function processEvent(event) { const next = () => { for (let i = 0; i < 100; i++); return Promise.resolve().then(next); }; return next(); }",
    },
    {
      what: "of a thenable that resolves with itself",
      ends: "fuel",
      code: "export function processEvent(event) { const again = { then(resolve) { resolve(again); } }; return again; }",
    },
    {
      what: "in a RudderStack transformation",
      ends: "fuel",
      code: "export async function transformEvent(event) { for (;;) await {}; }",
    },
    {
      what: "of fuel that is caught and spent again",
      ends: "fuel",
      code: "for (let i = 0; i < 100; i++) { try { for (;;) {} } catch {} } return event;",
    },
    {
      what: "that hides its end behind an Error of its own",
      ends: "error",
      says: "TypeError: Cannot assign",
      code: "globalThis.Error = class extends Error {}; try { for (;;) {} } catch { return event; }",
    },
    {
      what: "of dear steps",
      ends: "kill",
      code: "const a = Array.from({ length: 60 }, (_, i) => ({ i })); for (;;) JSON.stringify(a);",
    },
  ],
};

export const natives: HostileGroup = {
  title: "work inside of one step",
  scripts: [
    {
      what: "a regular expression that backtracks",
      ends: "kill",
      code: 'return /^(a+)+$/.test("a".repeat(60) + "!") ? event : null;',
    },
    {
      what: "a lookbehind that backtracks",
      ends: "kill",
      code: 'return /(?<=^(a+)+)$/.test("!" + "a".repeat(60)) ? event : null;',
    },
    {
      what: "an iterator made of built-in functions",
      ends: "kill",
      code: "new Set({ [Symbol.iterator]: Array.prototype.values.bind([]), length: 0 }); const endless = { next: Object }; endless[Symbol.iterator] = Object.prototype.valueOf; new Set(endless);",
    },
    {
      what: "a search through an array-like without end",
      ends: "kill",
      code: "return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);",
    },
    {
      what: "a promise that built-in functions never settle",
      ends: "kill",
      code: "export function processEvent(event) { const endless = {}; endless.then = Array.prototype.forEach.bind([endless]); return endless; }",
    },
    {
      what: "the power of a BigInt",
      ends: "kill",
      code: "let n = 3n ** 9_000_000n; n = n * n * n; return n.toString() === '' ? event : null;",
    },
  ],
};
