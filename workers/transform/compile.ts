/**
 * Publish time: turns a team's scripts into a bundle. Pure; runs inside workerd, in the console worker.
 * TypeScript is stripped without moving lines, the rest is checked, and fuel is put in (fuel.ts).
 */
import { type ImportDeclaration, type Node, type Program, parse } from "acorn";
import { transform as strip } from "sucrase";
import { messageOf } from "../../shared/errors.ts";
import type { Filter } from "../../shared/filter.ts";
import type { Bundle, BundleScript } from "../../shared/snapshot.ts";
import { bundleHash } from "./bundle.ts";
import { checkExports } from "./exports.ts";
import { injectFuel, PARSE_OPTIONS } from "./fuel.ts";
import { type ErrorPlace, type Fail, ScriptCompileError } from "./script-compile-error.ts";
import { childrenOf } from "./syntax-tree.ts";

/** A snapshot carries all of a team's scripts, and every isolate parses them when it starts. */
const SCRIPT_MAX_CHARS = 256 * 1024;
const TEAM_MAX_CHARS = 1024 * 1024;

export interface ModuleSource {
  id: string;
  code: string;
  /** What ends in `.js` or `.mjs` is JavaScript; everything else is TypeScript. */
  filename?: string | undefined;
}

export interface ScriptSource<OnError = BundleScript["on_error"]> extends ModuleSource {
  on_error: OnError;
  inputs: Record<string, unknown>;
  /** Name → sealed secret. */
  credentials?: Record<string, string>;
}

export interface BundleSource {
  team: string;
  /** In chain order; `source`: for events of this source only. */
  scripts: readonly (ScriptSource & { source?: string })[];
  /** Destinations' own scripts. */
  shapers?: readonly (ScriptSource<"dead_letter" | "pass" | "drop"> & { destination: string })[];
  /** What scripts may import by name. */
  modules?: readonly ModuleSource[];
  /** By destination id; destinations without a filter are absent. */
  filters: Record<string, Filter>;
}

/** Throws ScriptCompileError for the first script that cannot be published. */
export async function compileBundle({ team, scripts, shapers = [], filters }: BundleSource): Promise<Bundle> {
  const modules: Record<string, string> = {};
  let chars = 0;
  const compiled = <S extends ScriptSource<string>>(script: S, module: string) => {
    chars += script.code.length;
    if (chars > TEAM_MAX_CHARS) throw tooLong(script, `all scripts of team "${team}" together`, TEAM_MAX_CHARS);
    modules[module] = compileScript(script);
    const { id, on_error, inputs, credentials } = script;
    return { id, module, on_error, inputs, ...(credentials === undefined ? {} : { credentials }) } as {
      on_error: S["on_error"];
    } & Omit<BundleScript, "on_error">;
  };
  const chain = scripts.map((script, position) => ({
    ...compiled(script, `script-${position}.js`),
    ...(script.source === undefined ? {} : { source: script.source }),
  }));
  const own = shapers.map((script, i) => [script.destination, compiled(script, `shaper-${i}.js`)] as const);
  const bundle: Omit<Bundle, "hash"> = { team, scripts: chain, filters, modules };
  if (own.length > 0) bundle.shapers = Object.fromEntries(own);
  return { hash: await bundleHash(bundle), ...bundle };
}

/** One script as the ES module that runs. */
export function compileScript(source: ModuleSource): string {
  const { id, code } = source;
  if (code.length > SCRIPT_MAX_CHARS) throw tooLong(source, "the script", SCRIPT_MAX_CHARS);
  const fail: Fail = (problem, node) => {
    const start = node?.loc?.start;
    throw new ScriptCompileError(id, problem, code, start === undefined ? null : oneBased(start));
  };
  try {
    const script = isJavaScript(source.filename) ? code : stripTypes(code);
    const program = parse(script, PARSE_OPTIONS);
    refuseModules(program, fail);
    refuseTopLevelAwait(program, fail);
    checkExports(program, fail);
    return injectFuel(script, program);
  } catch (error) {
    if (error instanceof ScriptCompileError) throw error;
    if (error instanceof RangeError) throw new ScriptCompileError(id, "is nested too deeply", code, null, error);
    const { problem, place } = syntaxProblem(error);
    throw new ScriptCompileError(id, problem, code, place, error);
  }
}

function stripTypes(code: string): string {
  return strip(code, { transforms: ["typescript"], disableESTransforms: true }).code;
}

function isJavaScript(filename: string | undefined): boolean {
  return filename !== undefined && /\.m?js$/.test(filename);
}

function refuseModules(program: Program, fail: Fail): void {
  const pending: Node[] = [program];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const from = (node as Partial<ImportDeclaration>).source;
    if (node.type === "ImportDeclaration") fail(`cannot import "${from?.value}": a script is one file`, node);
    if (node.type.startsWith("Export") && from) fail(`cannot export from "${from.value}": a script is one file`, node);
    if (node.type === "ImportExpression") fail("cannot import() anything: a script is one file", node);
    if (node.type === "MetaProperty" && isImportMeta(node)) fail("has no import.meta", node);
    for (const child of childrenOf(node)) pending.push(child);
  }
}

/** It could keep an isolate from ever starting. */
function refuseTopLevelAwait(program: Program, fail: Fail): void {
  const pending: Node[] = [program];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const isAwait = node.type === "AwaitExpression" || (node as Node & { await?: boolean }).await === true;
    if (isAwait) fail("cannot await outside of a function", node);
    for (const child of childrenOf(node)) if (!FUNCTION.test(child.type)) pending.push(child);
  }
}

const FUNCTION = /^(Function|ArrowFunction)/;

function isImportMeta(node: Node): boolean {
  return (node as Node & { meta: { name: string } }).meta.name === "import";
}

/** Acorn says where in `loc`, sucrase in its message; both end their message with it. */
function syntaxProblem(error: unknown): { problem: string; place: ErrorPlace | null } {
  const message = messageOf(error);
  const [suffix, line, column] = / \((\d+):(\d+)\)$/.exec(message) ?? [];
  const { loc } = error as { loc?: { line: number; column: number } };
  const problem = message.replace(/^Error transforming [^:]*: /, "").replace(/ ?\(\d+:\d+\)$/, "");
  if (suffix !== undefined && !(error instanceof SyntaxError && loc)) {
    return { problem, place: { line: Number(line), column: Math.max(1, Number(column)) } };
  }
  return { problem, place: loc === undefined ? null : oneBased(loc) };
}

function oneBased({ line, column }: { line: number; column: number }): ErrorPlace {
  return { line, column: column + 1 };
}

function tooLong(script: Pick<ModuleSource, "id" | "code">, what: string, limit: number): ScriptCompileError {
  return new ScriptCompileError(script.id, `${what} may have ${limit} characters at most`, script.code, null);
}
