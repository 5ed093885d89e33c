import { describe, expect, it } from "vitest";
import { compileBundle, compileScript, type ScriptSource } from "./compile.ts";
import { ScriptCompileError } from "./script-compile-error.ts";

const GOOD = "export function transform(event) { return event; }";

function script(overrides: Partial<ScriptSource> = {}): ScriptSource {
  return { id: "scrub", code: GOOD, on_error: "pass", inputs: {}, ...overrides };
}

function problemOf(code: string, filename?: string): ScriptCompileError {
  try {
    compileScript({ id: "scrub", code, filename });
  } catch (error) {
    if (error instanceof ScriptCompileError) return error;
    throw error;
  }
  throw new Error("it compiles");
}

describe("compileBundle", () => {
  it("makes one module a script, in chain order, with inputs and filters", async () => {
    const bundle = await compileBundle({
      team: "acme",
      scripts: [script({ inputs: { a: 1 } }), script({ id: "second" })],
      filters: { hook: { event: { eq: "a" } } },
    });
    expect(bundle.scripts).toEqual([
      { id: "scrub", module: "script-0.js", on_error: "pass", inputs: { a: 1 } },
      { id: "second", module: "script-1.js", on_error: "pass", inputs: {} },
    ]);
    expect(Object.keys(bundle.modules)).toEqual(["script-0.js", "script-1.js"]);
    expect(bundle.filters).toEqual({ hook: { event: { eq: "a" } } });
    expect(bundle.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it("gives equal content the same hash and any other content another", async () => {
    const hashOf = async (team: string, overrides: Partial<ScriptSource> = {}, filters = {}) =>
      (await compileBundle({ team, scripts: [script(overrides)], filters })).hash;
    const hash = await hashOf("acme", { inputs: { a: 1, b: { c: 2, d: 3 } } });
    expect(await hashOf("acme", { inputs: { b: { d: 3, c: 2 }, a: 1 } })).toBe(hash);
    const others = await Promise.all([
      hashOf("other", { inputs: { a: 1, b: { c: 2, d: 3 } } }),
      hashOf("acme", { inputs: { a: 1, b: { c: 2, d: 4 } } }),
      hashOf("acme", { inputs: { a: 1, b: { c: 2, d: 3 } }, id: "x" }),
      hashOf("acme", { inputs: { a: 1, b: { c: 2, d: 3 } }, code: `${GOOD} ` }),
      hashOf("acme", { inputs: { a: 1, b: { c: 2, d: 3 } } }, { hook: { event: { eq: "a" } } }),
    ]);
    expect(new Set([hash, ...others]).size).toBe(6);
  });

  it("refuses a team whose scripts are too long together", async () => {
    const long = `${GOOD}//${"x".repeat(250_000)}`;
    const scripts = Array.from({ length: 5 }, (_, i) => script({ id: `s${i}`, code: long }));
    await expect(compileBundle({ team: "acme", scripts, filters: {} })).rejects.toThrow(
      'script "s4": all scripts of team "acme" together may have 1048576 characters at most',
    );
  });
});

describe("compileScript", () => {
  it.each([
    ["a function", GOOD],
    ["a constant arrow", "export const transform = (event) => event;"],
    ["a name exported later", "function t(event) { return event; }\nexport { t as transform };"],
    ["a wrapped function", "const wrap = (f) => f; export const transform = wrap((event) => event);"],
    ["a destructured function", "export const { transform } = { transform: (event) => event };"],
    ["helpers beside it", `export const version = 1; ${GOOD}`],
  ])("takes %s", (_, code) => {
    expect(compileScript({ id: "scrub", code })).toContain("transform");
  });

  it("strips TypeScript and keeps lines", () => {
    const code = `import type { Event } from "headwater";
interface Plan { name: string }
enum Level { Low = 1, High }
export function transform(event: Event, ctx: { inputs: Record<string, unknown> }): Event | null {
  const plan = event.properties.plan as unknown as Plan;
  return plan?.name === "pro" && Level.High > 1 ? event : null!;
}`;
    const lines = compileScript({ id: "scrub", code, filename: "scrub.ts" }).split("\n");
    expect(lines[3]).toMatch(/^export function transform\(event, ctx\)/);
    expect(lines[4]).toMatch(/^ {2}const plan = event\.properties\.plan/);
  });

  it("takes JavaScript as it is written", () => {
    const code = "export function transform(event) { return a < (b > (c)) ? event : null; }";
    expect(compileScript({ id: "scrub", code, filename: "scrub.js" })).toContain("a < (b > (c))");
  });

  it.each([
    [
      "nothing exported",
      "function transform() {}",
      'exports nothing: it must export a function "transform(event, ctx)"',
    ],
    ["another name", "export const run = 1; export default 2;", 'exports "run", "default": it must export'],
    ["a batch entry", `${GOOD} export function transformBatch() {}`, 'exports "transformBatch", which is not called'],
    ["another dialect", "export function processEvent(event) {}", 'exports "processEvent", which is not called'],
    [
      "an async entry",
      "export async function transform() {}",
      "transform must be synchronous: it is an async function",
    ],
    ["an async arrow", "export const transform = async () => {};", "transform must be synchronous"],
    ["a generator", "export function* transform() {}", "it is a generator function"],
    ["a value", "export const transform = 5;", 'its export "transform" is not a function'],
    ["a class", "export class transform {}", 'its export "transform" is not a function'],
    ["an import", `import x from "./x.js"; console.log(x); ${GOOD}`, 'cannot import "./x.js": a script is one file'],
    ["a bare import", `import "./fuel.js"; ${GOOD}`, 'cannot import "./fuel.js"'],
    ["an export from", `export { x } from "./x.js"; ${GOOD}`, 'cannot export from "./x.js"'],
    ["an export of all", `export * from "./x.js"; ${GOOD}`, 'cannot export from "./x.js"'],
    ["a dynamic import", `const x = () => import("./fuel.js"); ${GOOD}`, "cannot import() anything"],
    ["import.meta", `const x = import.meta; ${GOOD}`, "has no import.meta"],
    ["a top-level await", `await 1; ${GOOD}`, "cannot await outside of a function"],
    ["a top-level for await", `for await (const x of []) {} ${GOOD}`, "cannot await outside of a function"],
    ["a template of code that does not parse", `export function transform() { return \`\${ } `, "Unexpected token"],
    ["the fuel's name", `__headwater_burn = 1; ${GOOD}`, "__headwater_burn is reserved"],
  ])("refuses %s", (_, code, problem) => {
    expect(problemOf(code).message).toContain(problem);
  });

  it("says where a mistake is and shows it", () => {
    const error = problemOf("export function transform(event) {\n  const a = 1;\n  return event..x;\n}", "a.js");
    expect(error).toMatchObject({ code: "script_compile_error", status: 400, script: "scrub", line: 3, column: 16 });
    expect(error.message).toBe(
      `script "scrub": Unexpected token at line 3, column 16\n${[
        "  1 | export function transform(event) {",
        "  2 |   const a = 1;",
        "> 3 |   return event..x;",
        "    |                ^",
        "  4 | }",
      ].join("\n")}`,
    );
  });

  it("says where a mistake in TypeScript is", () => {
    const error = problemOf("export function transform(event: {) {\n  return event;\n}");
    expect(error).toMatchObject({ line: 1 });
    expect(error.message).not.toContain("Error transforming");
  });

  it("refuses what is too long or too deep", () => {
    expect(problemOf(`${GOOD}//${"x".repeat(300_000)}`).message).toContain("may have 262144 characters at most");
    expect(problemOf(`${GOOD} const x = ${"[".repeat(100_000)}`).message).toContain("is nested too deeply");
  });
});
