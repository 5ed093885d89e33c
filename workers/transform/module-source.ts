/** One authored file, parsed: TypeScript stripped without moving lines, checked for what no script and no module may hold. */
import { type Node, type Program, parse } from "acorn";
import { transform as strip } from "sucrase";
import { messageOf } from "../../shared/errors.ts";
import { PARSE_OPTIONS } from "./fuel.ts";
import { type ErrorPlace, type Fail, type Note, ScriptCompileError } from "./script-compile-error.ts";
import { childrenOf } from "./syntax-tree.ts";

/** A snapshot carries all of a team's scripts, and every isolate parses them when it starts. */
const SCRIPT_MAX_CHARS = 256 * 1024;
/** Who publishes mends a few at a time; a minified library would give thousands. */
const PROBLEMS_MAX_COUNT = 20;

export interface ModuleSource {
  id: string;
  code: string;
  /** What ends in `.js` or `.mjs` is JavaScript; everything else is TypeScript. */
  filename?: string | undefined;
}

export interface ParsedModule {
  /** As errors name it: a script's id, or `module:<id>`. */
  owner: string;
  /** Without types: what runs, but for fuel and imports. */
  code: string;
  program: Program;
  fail: Fail;
  note: Note;
  /** What was noted so far. */
  problems: ScriptCompileError[];
}

/** Throws a ScriptCompileError for what does not parse. */
export function parseModule({ code, filename }: ModuleSource, owner: string): ParsedModule {
  if (code.length > SCRIPT_MAX_CHARS) {
    throw new ScriptCompileError(owner, `may have ${SCRIPT_MAX_CHARS} characters at most`, code, null);
  }
  const problems: ScriptCompileError[] = [];
  const at = (problem: string, node: Node | null) => {
    const start = node?.loc?.start;
    return new ScriptCompileError(owner, problem, code, start === undefined ? null : oneBased(start));
  };
  const fail: Fail = (problem, node) => {
    throw at(problem, node);
  };
  const note: Note = (problem, node) => {
    if (problems.length < PROBLEMS_MAX_COUNT) problems.push(at(problem, node));
  };
  return blamed(owner, code, () => {
    const stripped = isJavaScript(filename) ? code : stripTypes(code);
    const program = parse(stripped, PARSE_OPTIONS);
    refuseDynamic(program, fail);
    refuseTopLevelAwait(program, fail);
    return { owner, code: stripped, program, fail, note, problems };
  });
}

/** Does `work` on a file; what it throws names the file and the place. */
export function blamed<T>(owner: string, code: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ScriptCompileError) throw error;
    if (error instanceof RangeError) throw new ScriptCompileError(owner, "is nested too deeply", code, null, error);
    const { problem, place } = syntaxProblem(error);
    throw new ScriptCompileError(owner, problem, code, place, error);
  }
}

function stripTypes(code: string): string {
  return strip(code, { transforms: ["typescript"], disableESTransforms: true }).code;
}

function isJavaScript(filename: string | undefined): boolean {
  return filename !== undefined && /\.m?js$/.test(filename);
}

/** What would reach outside of the bundle, or look at where it lies. */
function refuseDynamic(program: Program, fail: Fail): void {
  const pending: Node[] = [program];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.type === "ImportExpression") fail("cannot import() anything: import it at the top of the script", node);
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
