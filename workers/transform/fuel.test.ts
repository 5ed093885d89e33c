import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FUEL_NAME, injectFuel } from "./fuel.ts";
import { drain, emptiedAt, refill } from "./isolate/fuel-tank.ts";
import { evaluate } from "./testing/evaluate.ts";

const PLENTY = 1_000_000;
const LITTLE = 1_000;

/** Runs `run` of the instrumented code; returns what it gives, or what it throws. */
function burnt(code: string, steps: number): { value?: unknown; error?: unknown; spent: number } {
  const { run } = evaluate(injectFuel(code), "run") as { run: () => unknown };
  refill(steps);
  try {
    const value = run();
    return { value, spent: steps - drain() };
  } catch (error) {
    return { error, spent: steps - drain() };
  }
}

describe("injectFuel", () => {
  it.each([
    ["while", "function run() { while (true) {} }"],
    ["while without a body", "function run() { while (true); }"],
    ["while with one statement and no semicolon", "let n = 0\nfunction run() { while (true) n++\n}"],
    ["for", "function run() { for (;;) {} }"],
    ["for without a body", "function run() { for (;;); }"],
    ["do-while", "function run() { do {} while (true); }"],
    ["do-while with one statement", "let n = 0; function run() { do n++; while (true) }"],
    ["for-of", "function run() { const a = [1]; for (const x of a) a.push(x); }"],
    ["for-of without a block", "function run() { const a = [1]; for (const x of a) a.push(x) }"],
    ["for-in that an inner loop keeps", "function run() { for (const k in { a: 1 }) for (;;) k.length }"],
    ["a labelled loop that continues", "function run() { a: for (;;) { for (;;) continue a; } }"],
    ["a loop under if and else", "function run() { if (0) ; else while (1) if (0) run(); else 1; }"],
    ["a loop that catches", "function run() { for (;;) { try { run2(); } catch {} } } function run2() { throw 1; }"],
    ["a try that loops in finally", "function run() { try { while (1); } finally { while (1); } }"],
    ["a try that loops in catch", "function run() { try { while (1); } catch { while (1); } }"],
    [
      "recursion that catches itself",
      "function run() { try { run(); } catch {} try { run(); } catch { run(); } finally { run(); } }",
    ],
    [
      "an arrow with an expression",
      "const f = () => f() || f(); function run() { for (const x of [1]) { try { f() } catch { f() } } }",
    ],
    [
      "an arrow that returns an object",
      "const f = () => ({ a: f() }); function run() { try { f() } catch { while (1); } }",
    ],
    ["nested arrows", "const f = (a) => (b) => f(a)(b); function run() { try { f(1)(2) } catch { for (;;); } }"],
    [
      "a getter",
      "const o = { get g() { try { return this.g; } catch { return this.g; } } }; function run() { return o.g; }",
    ],
    ["a setter", "const o = { set s(v) { try { this.s = v; } catch { this.s = v; } } }; function run() { o.s = 1; }"],
    ["a method", "const o = { m() { try { this.m() } catch { this.m() } } }; function run() { o.m(); }"],
    ["a constructor", "class A { constructor() { try { new A() } catch { new A() } } } function run() { new A(); }"],
    [
      "a derived constructor",
      "class A {} class B extends A { constructor() { for (;;); super(); } } function run() { new B(); }",
    ],
    ["a static block", "function run() { class A { static { while (1); } } }"],
    ["a field", "class A { f = () => { while (1); }; g = this.f(); } function run() { new A(); }"],
    ["a generator", "function* g() { for (;;) yield 1; } function run() { return [...g()]; }"],
    [
      "a generator delegating to itself",
      "function* g() { try { yield* g(); } catch { yield* g(); } } function run() { return [...g()]; }",
    ],
    [
      "an iterator",
      "const it = { [Symbol.iterator]() { return this; }, next() { return {}; } }; function run() { return [...it]; }",
    ],
    [
      "an async function",
      "async function f() { for (;;) await 1; } function run() { Promise.allSettled([f()]); while (1); }",
    ],
    ["a callback of a native function", "function run() { const a = [3, 1]; a.sort(() => { for (;;); }); }"],
    ["a tagged template", "function t() { return t``; } function run() { try { t`` } catch { for (;;); } }"],
    ["a proxy trap", "const p = new Proxy({}, { get: (t, k, r) => { for (;;); } }); function run() { return p.x; }"],
    ["toString", "const o = { toString() { for (;;); } }; function run() { return o + ''; }"],
  ])("stops %s", (_, code) => {
    const { error } = burnt(code, LITTLE);
    expect(emptiedAt()).not.toBeNull();
    expect(error).toBe(emptiedAt());
  });

  it("has stopped a script that swallows what the tank throws and returns", () => {
    const { value } = burnt("function run() { try { while (1); } catch { return 7; } }", LITTLE);
    expect(value).toBe(7);
    expect(emptiedAt()).not.toBeNull();
  });

  it("keeps what a script left behind from running on", async () => {
    const code = `let ran = 0;
      async function later() { for (;;) { await 1; ran++; } }
      function run() { Promise.allSettled([later(), Promise.resolve().then(function again() { ran++; return Promise.resolve().then(again); })]); }
      function count() { return ran; }`;
    const { run, count } = evaluate(
      injectFuel(code).replace(`count() {${FUEL_NAME}();`, "count() {"),
      "run",
      "count",
    ) as {
      run: () => void;
      count: () => number;
    };
    refill(PLENTY);
    run();
    drain();
    await new Promise((resolve) => setTimeout(resolve, 20));
    // The await that was already under way ends; the next turn of either loop does not begin.
    expect(count()).toBeLessThanOrEqual(1);
  });

  it("counts one step an iteration and one a call", () => {
    expect(burnt("function run() { for (let i = 0; i < 10; i++) (() => i)(); }", PLENTY).spent).toBe(21);
  });

  it("keeps line numbers", () => {
    const code = "function run() {\n  for (const x of [1])\n    if (x) throw new Error('here')\n}";
    const { error } = burnt(code, PLENTY);
    const line = (text: string) =>
      injectFuel(code)
        .split("\n")
        .findIndex((row) => row.includes(text));
    expect((error as Error).message).toBe("here");
    expect(line("here")).toBe(2);
  });

  it.each([
    ["a call", `${FUEL_NAME}()`],
    ["an assignment", `${FUEL_NAME} = () => {}`],
    ["a declaration", `function f(${FUEL_NAME}) {}`],
    ["an escaped spelling", `\\u005f_headwater_burn()`],
  ])("refuses its own name in %s", (_, code) => {
    expect(() => injectFuel(code)).toThrow(`${FUEL_NAME} is reserved`);
  });

  it("leaves the meaning of generated programs as it was", () => {
    fc.assert(
      fc.property(program, (body) => {
        const code = `${CLIP} function run() { const out = []; let x = 1, y = 2; ${body}\nreturn JSON.stringify([out, x, y]); }`;
        const plain = attempt(evaluate(code, "run").run as () => unknown);
        refill(PLENTY);
        expect(attempt(evaluate(injectFuel(code), "run").run as () => unknown)).toEqual(plain);
      }),
      { numRuns: 300 },
    );
  }, 30_000);
});

/** Keeps the values of generated programs from growing with every turn of a loop. */
const CLIP = "function clip(v) { return typeof v === 'string' ? v.slice(-9) : v % 1000; }";

function attempt(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return String(error);
  }
}

/** Small programs over x, y and out that end: every loop is bounded. */
const { program } = fc.letrec<{ program: string; statement: string; expression: string }>((tie) => {
  const s = tie("statement");
  const e = tie("expression");
  const n = fc.integer({ min: 0, max: 3 });
  // A label must not be declared again inside itself.
  let labels = 0;
  const label = fc.constant("l").map((l) => l + ++labels);
  const t = (parts: TemplateStringsArray, ...values: fc.Arbitrary<unknown>[]) =>
    fc.tuple(...values).map((made) => String.raw({ raw: parts }, ...made));
  return {
    program: fc.array(s, { minLength: 1, maxLength: 4 }).map((lines) => lines.join("\n")),
    statement: fc.oneof(
      { maxDepth: 4, depthIdentifier: "program" },
      t`x = clip(${e});`,
      t`out.push(clip(${e}))\n`,
      t`y = clip(y + ${e});`,
      t`{ ${s} ${s} }`,
      t`if (${e}) { ${s} } else ${s}`,
      t`for (let i = 0; i < ${n}; i++) ${s}`,
      t`for (let i = 0; i < ${n}; i++) { if (i === ${n}) continue; ${s} if (i === ${n}) break; }`,
      t`for (const v of [${e}, ${e}]) ${s}`,
      t`for (const k in { a: ${e}, b: 2 }) { out.push(k); ${s} }`,
      t`{ let c = ${n}; while (c-- > 0) ${s} }`,
      t`{ let c = ${n}; do ${s} while (c-- > 0) }`,
      fc
        .tuple(label, s, n, n)
        .map(
          ([l, body, i, j]) =>
            `${l}: for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) { ${body} if (i === ${i}) continue ${l}; if (j === ${j}) break ${l}; }`,
        ),
      fc
        .tuple(label, label, s, s)
        .map(
          ([l, m, first, second]) =>
            `{ let c = 2; ${l}: while (c-- > 0) ${m}: { ${first} if (c) break ${m}; ${second} } }`,
        ),
      t`try { ${s} throw ${e}; } catch (error) { out.push(String(error)); ${s} } finally { ${s} }`,
      t`switch (${e}) { case 1: ${s} case 2: ${s} break; default: ${s} }`,
      t`{ class A { constructor() { this.v = ${e}; } get g() { return ${e}; } static { out.push(${e}); } } class B extends A { w = ${e}; constructor() { super(); this.v += this.g; } } out.push(new B().v, new B().w); }`,
    ),
    expression: fc.oneof(
      { maxDepth: 3, depthIdentifier: "program" },
      fc.constantFrom("x", "y", "1", "2", "'a'"),
      t`(${e} + ${e})`,
      t`(x > 3 ? ${e} : ${e})`,
      t`((a, b = ${e}) => a + b)(${e})`,
      t`(a => ({ a, get g() { return ${e}; } }))(${e}).g`,
      t`(function () { return ${e}; })()`,
      t`(() => { for (const v of [1]) return ${e}; })()`,
      t`[...(function* () { yield ${e}; for (let i = 0; i < ${n}; i++) yield i; return 1; })()].join()`,
      t`[3, 1, 2].map(v => v + ${e}).sort((a, b) => a > b ? 1 : -1).join()`,
      t`new (class { #p = ${e}; m(q = ${e}) { return this.#p + q; } })().m()`,
      t`((f) => (g) => f(g(${e})))(v => v)(v => (v, ${e}))`,
    ),
  };
});
