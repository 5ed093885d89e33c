import { describe, expect, it } from "vitest";
import { type BundleSource, compileBundle, type ScriptSource } from "./compile.ts";
import { LIBRARIES } from "./library-names.ts";
import { ScriptCompileError } from "./script-compile-error.ts";

const GOOD = "export function transform(event) { return event; }";

function script(overrides: Partial<ScriptSource> = {}): ScriptSource {
  return { id: "scrub", code: GOOD, on_error: "pass", inputs: {}, ...overrides };
}

const MODULE_FREE: Omit<BundleSource, "scripts"> = { team: "acme", filters: {} };

async function compiled(code: string, filename?: string): Promise<string> {
  const { modules } = await compileBundle({ ...MODULE_FREE, scripts: [script({ code, filename })] });
  return modules["script-0.js"] as string;
}

async function failureOf(source: Partial<BundleSource>): Promise<ScriptCompileError> {
  const error = await compileBundle({ ...MODULE_FREE, scripts: [], ...source }).then(
    () => new Error("it compiles"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof ScriptCompileError) return error;
  throw error;
}

const problemOf = (code: string, filename?: string) => failureOf({ scripts: [script({ code, filename })] });
const firstLine = (error: Error) => error.message.split("\n", 1)[0];

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

describe("a script", () => {
  it.each([
    ["a function", GOOD],
    ["a constant arrow", "export const transform = (event) => event;"],
    ["a name exported later", "function t(event) { return event; }\nexport { t as transform };"],
    ["a wrapped function", "const wrap = (f) => f; export const transform = wrap((event) => event);"],
    ["a destructured function", "export const { transform } = { transform: (event) => event };"],
    ["helpers beside it", `export const version = 1; ${GOOD}`],
    ["a batch entry", "export function transformBatch(events) { return events; }"],
  ])("takes %s", async (_, code) => {
    expect(await compiled(code)).toContain("transform");
  });

  it("strips TypeScript and keeps lines", async () => {
    const code = `import type { Event } from "headwater";
interface Plan { name: string }
enum Level { Low = 1, High }
export function transform(event: Event, ctx: { inputs: Record<string, unknown> }): Event | null {
  const plan = event.properties.plan as unknown as Plan;
  return plan?.name === "pro" && Level.High > 1 ? event : null!;
}`;
    const lines = (await compiled(code, "scrub.ts")).split("\n");
    expect(lines[3]).toMatch(/^export function transform\(event, ctx\)/);
    expect(lines[4]).toMatch(/^ {2}const plan = event\.properties\.plan/);
  });

  it("refuses namespaces whose values are used, since they go with the types, and takes those that hold types alone", async () => {
    const used =
      "export namespace Plans { export const pro = 1 }\nexport function transform(event) { event.properties.p = Plans.pro; return event; }";
    await expect(compiled(used)).rejects.toThrow("cannot use namespace Plans");
    await expect(compiled(used)).rejects.toThrow("line 2, column 57");
    const types = `namespace Plans { export interface Pro { name: string } }\n${GOOD}\nexport let plan: Plans.Pro;`;
    expect(await compiled(types)).toContain("transform");
    expect(await compiled(`const text = \`\nnamespace Plans {\n}\`;\n${GOOD}`)).toContain("transform");
  });

  it("takes JavaScript as it is written", async () => {
    const code = "export function transform(event) { return a < (b > (c)) ? event : null; }";
    expect(await compiled(code, "scrub.js")).toContain("a < (b > (c))");
  });

  it.each([
    [
      "nothing exported",
      "function transform() {}",
      'exports nothing: it must export a function "transform(event, ctx)"',
    ],
    ["another name", "export const run = 1; export default 2;", 'exports "run", "default": it must export'],
    ["two entries", `${GOOD} export function transformBatch() {}`, 'exports both "transform" and "transformBatch"'],
    ["an async batch", "export async function transformBatch() {}", "transformBatch must be synchronous"],
    [
      "an async entry",
      "export async function transform() {}",
      "transform must be synchronous: it is an async function",
    ],
    ["an async arrow", "export const transform = async () => {};", "transform must be synchronous"],
    ["a generator", "export function* transform() {}", "it is a generator function"],
    ["a value", "export const transform = 5;", 'its export "transform" is not a function'],
    ["a class", "export class transform {}", 'its export "transform" is not a function'],
    ["a dynamic import", `const x = () => import("./fuel.js"); ${GOOD}`, "cannot import() anything"],
    ["import.meta", `const x = import.meta; ${GOOD}`, "has no import.meta"],
    ["a top-level await", `await 1; ${GOOD}`, "cannot await outside of a function"],
    ["a top-level for await", `for await (const x of []) {} ${GOOD}`, "cannot await outside of a function"],
    ["a template of code that does not parse", `export function transform() { return \`\${ } `, "Unexpected token"],
    ["the fuel's name", `__headwater_burn = 1; ${GOOD}`, "__headwater_burn is reserved"],
  ])("refuses %s", async (_, code, problem) => {
    expect((await problemOf(code)).message).toContain(problem);
  });

  it("says where a mistake is and shows it", async () => {
    const error = await problemOf("export function transform(event) {\n  const a = 1;\n  return event..x;\n}", "a.js");
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

  it("says where a mistake in TypeScript is", async () => {
    const error = await problemOf("export function transform(event: {) {\n  return event;\n}");
    expect(error).toMatchObject({ line: 1 });
    expect(error.message).not.toContain("Error transforming");
  });

  it.each([
    [
      "types before it in the line",
      "export function transform(event: Event, ctx: Context<{ a: number }>): void { fetch(1); }",
    ],
    [
      "types in lines above",
      "type A = { b: string };\nexport function transform(event: A) {\n  const x = event as unknown as A; fetch(x!);\n}",
    ],
    [
      "types that fill lines",
      "import type { A } from 'headwater';\n\ninterface B {\n  c: A;\n}\nexport const transform = (b: B) => fetch(b);",
    ],
  ])("says where it is in what was written, with %s", async (_, code) => {
    const { line, column } = await problemOf(code);
    const before = code.slice(0, code.indexOf("fetch")).split("\n");
    expect({ line, column }).toEqual({ line: before.length, column: (before.at(-1) as string).length + 1 });
  });

  it("refuses what is too long or too deep", async () => {
    expect((await problemOf(`${GOOD}//${"x".repeat(300_000)}`)).message).toContain(
      "may have 262144 characters at most",
    );
    expect((await problemOf(`${GOOD} const x = ${"[".repeat(100_000)}`)).message).toContain("is nested too deeply");
  });
});

describe("what an isolate does not have", () => {
  it.each([
    ["fetch", 'fetch("https://example.com")', "a script has no network"],
    ["XMLHttpRequest", "new XMLHttpRequest()", "a script has no network"],
    ["WebSocket", 'new WebSocket("wss://example.com")', "a script has no network"],
    ["setTimeout", "setTimeout(() => 1, 5)", "a script has no timers"],
    ["setInterval", "setInterval(() => 1, 5)", "a script has no timers"],
    ["eval", 'eval("1")', "cannot make code from text"],
    ["Function", 'new Function("return 1")', "cannot make code from text"],
    ["Function", 'Function("return 1")()', "cannot make code from text"],
    ["require", 'require("crypto")', "import a module of the team"],
    ["process", "process.env.KEY", "use ctx.inputs, and ctx.credentials for secrets"],
    ["importScripts", 'importScripts("a.js")', "import a module of the team"],
    ["caches", "caches.default", "a script has no storage"],
    ["indexedDB", 'indexedDB.open("a")', "a script has no storage"],
  ])("is refused by name: %s", async (name, use, advice) => {
    const error = await problemOf(`export function transform(event) {\n  ${use};\n  return event;\n}`);
    expect(error.message).toContain(`cannot use ${name}: `);
    expect(error.message).toContain(advice);
    expect(error).toMatchObject({ line: 2, frame: expect.stringContaining(`> 2 |   ${use};`) });
  });

  it.each([
    ["a local", "const fetch = () => 1; fetch();"],
    ["a parameter", "((process) => process)(1);"],
    ["a property", "event.properties.fetch = event.process?.eval; ({ require: 1 });"],
    ["a question whether it is there", 'if (typeof fetch === "undefined") event.a = 1;'],
    ["a type of values", "event.a = event.b instanceof Function;"],
  ])("may give its name to %s", async (_, use) => {
    expect(await compiled(`export function transform(event) { ${use} return event; }`)).toContain("transform");
  });
});

describe("imports", () => {
  const money = { id: "money", code: "export const cents = (n: number) => n * 100;\nexport default 1;" };
  const prices = {
    id: "prices",
    code: 'import { cents } from "./money";\nexport const price = (n: number) => cents(n);',
  };
  const importing = (from: string, name = "cents") =>
    script({ code: `import { ${name} } from "${from}";\nexport const transform = (event) => (${name}, event);` });

  it.each(["money", "./money", "./money.ts", "./money.js"])(
    'of a module of the team as "%s" lead to it',
    async (from) => {
      const { modules } = await compileBundle({ ...MODULE_FREE, scripts: [importing(from)], modules: [money] });
      expect(Object.keys(modules)).toEqual(["script-0.js", "lib-money.js"]);
      expect(modules["script-0.js"]?.split("\n")[0]).toBe('import { cents } from "./lib-money.js";');
      expect(modules["lib-money.js"]).toContain("__headwater_burn()");
    },
  );

  it("bring in what the imported module imports, and no other module", async () => {
    const modules = [money, prices, { id: "unused", code: "export const x = 1;" }];
    const bundle = await compileBundle({ ...MODULE_FREE, scripts: [importing("prices", "price")], modules });
    expect(Object.keys(bundle.modules)).toEqual(["script-0.js", "lib-money.js", "lib-prices.js"]);
    expect(bundle.libraries).toBeUndefined();
  });

  it("of libraries are listed in the bundle, those of modules too", async () => {
    const hashing = { id: "hashing", code: 'export { sha256 } from "headwater:hash";' };
    const code = `import { isBot } from "headwater:bot";\nimport { sha256 } from "hashing";\nexport const transform = (e) => isBot(sha256(e.event)) ? null : e;`;
    const bundle = await compileBundle({ ...MODULE_FREE, scripts: [script({ code })], modules: [hashing] });
    expect(bundle.libraries).toEqual(["headwater:bot", "headwater:hash"]);
    expect(bundle.modules["script-0.js"]).toContain('from "./headwater-bot.js"');
    expect(bundle.modules["lib-hashing.js"]).toContain('export { sha256 } from "./headwater-hash.js"');
  });

  it("of names that come by export * are known", async () => {
    const all = { id: "all", code: 'export * from "money"; export * from "headwater:ip";' };
    const code = 'import { cents, maskIp } from "all"; export const transform = (e) => (cents(1), maskIp(e.ip), e);';
    const bundle = await compileBundle({ ...MODULE_FREE, scripts: [script({ code })], modules: [money, all] });
    expect(Object.keys(bundle.modules)).toEqual(["script-0.js", "lib-all.js", "lib-money.js"]);
    const asDefault = script({ code: 'import x from "all"; export const transform = () => x;' });
    const error = await failureOf({ scripts: [asDefault], modules: [money, all] });
    expect(firstLine(error)).toContain('exports no "default"');
  });

  it("of types vanish", async () => {
    const code = `import type { Event, Context } from "headwater";
import { type Geo, Transform } from "headwater";
import type { Money } from "nowhere";
export const transform: Transform = (event: Event, ctx: Context) => event;`;
    expect((await compiled(code)).split("\n").slice(0, 3)).toEqual(["", "", ""]);
  });

  it.each([
    ["an unknown module", "mony", 'cannot import "mony"'],
    ["an unknown file", "./mony.js", `there is no module "mony"; the team's modules are money`],
    ["a folder above", "../money", `there is no module "money"`],
    ["a package", "lodash", "no packages; the team's modules are money; the libraries are headwater:bot, "],
    ["an address", "https://example.com/a.js", "modules of its team and headwater:* libraries only"],
    ["a module of Node", "node:crypto", "use headwater:hash"],
    ["an unknown library", "headwater:fetch", "the libraries are headwater:bot, "],
    ["a library of a dialect", "headwater:compat-posthog", "the libraries are headwater:bot, "],
    ["the types as values", "headwater", "write import type"],
    ["the fuel", "./fuel.js", 'there is no module "fuel"'],
    ["another script", "./script-0.js", 'there is no module "script-0"'],
  ])("of %s are refused", async (_, from, problem) => {
    const error = await failureOf({ scripts: [importing(from)], modules: [money] });
    expect(error.message).toContain(problem);
    expect(error).toMatchObject({ script: "scrub", line: 1, column: 1 });
  });

  it("of a name that is not exported are refused, with what there is", async () => {
    const inTeam = await failureOf({ scripts: [importing("money", "cent")], modules: [money] });
    expect(firstLine(inTeam)).toBe(
      'script "scrub": "money" exports no "cent": it has cents, default at line 1, column 10',
    );
    const inLibrary = await failureOf({ scripts: [importing("headwater:bot", "bot")] });
    expect(firstLine(inLibrary)).toContain(`it has ${LIBRARIES["headwater:bot"]?.join(", ")}`);
  });

  it("in a circle are refused at the one that closes it", async () => {
    const modules = ["a", "b", "c"].map((id, i, ids) => ({
      id,
      code: `import { f as g } from "${ids[(i + 1) % 3]}";\nexport const f = () => g();`,
    }));
    const error = await failureOf({ modules });
    expect(firstLine(error)).toBe(
      'module "c": modules cannot import each other in a circle: a → b → c → a at line 1, column 1',
    );
    const itself = await failureOf({
      modules: [{ id: "a", code: 'import * as a from "a"; export const b = () => a;' }],
    });
    expect(firstLine(itself)).toContain("a → a");
  });

  it("of a module that does not compile name the module", async () => {
    const error = await failureOf({
      scripts: [importing("money")],
      modules: [{ id: "money", code: "export const x = ;" }],
    });
    expect(error).toMatchObject({ script: "module:money", line: 1 });
    expect(firstLine(error)).toMatch(/^module "money": Unexpected token/);
    expect(error.also).toEqual([]);
  });
});

describe("what is wrong with a team", () => {
  it("is told all at once", async () => {
    const error = await failureOf({
      scripts: [
        script({ id: "one", code: 'import "lodash";\nfetch(1);\nsetTimeout(fetch);' }),
        script({ id: "two", code: "export const transform = ;" }),
      ],
      shapers: [{ ...script({ id: "destination:hook" }), on_error: "pass", destination: "hook", code: "eval(1)" }],
      modules: [{ id: "broken", code: "await 1" }],
    });
    expect([error, ...error.also].map(({ script: id, line }) => [id, line])).toEqual([
      ["module:broken", 1],
      ["one", null],
      ["one", 2],
      ["one", 3],
      ["one", 3],
      ["one", 1],
      ["two", 1],
      ["destination:hook", null],
      ["destination:hook", 1],
    ]);
  });
});
