/** One authored file, parsed: TypeScript stripped without moving lines, checked for what no script and no module may hold. */
import { type Node, type Program, parse } from "acorn";
import { messageOf } from "../../shared/errors.ts";
import { freeIdentifiers } from "./free-identifiers.ts";
import { PARSE_OPTIONS } from "./fuel.ts";
import { type ErrorPlace, type Fail, type Note, ScriptCompileError } from "./script-compile-error.ts";
import { authoredPosition, type Position, stripTypes } from "./strip-types.ts";
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
  /** Does work on the program; what it throws names the file and the place. */
  attempt<T>(work: () => T): T;
}

/** Throws a ScriptCompileError for what does not parse. */
export function parseModule({ code, filename }: ModuleSource, owner: string): ParsedModule {
  if (code.length > SCRIPT_MAX_CHARS) {
    throw new ScriptCompileError(owner, `may have ${SCRIPT_MAX_CHARS} characters at most`, code, null);
  }
  const isTyped = !isJavaScript(filename);
  let isStripped = false;
  const placeOf = (position: Position): ErrorPlace => {
    if (!isTyped) return oneBased(position);
    // What is found while types are stripped is placed in what was written, from 1 already; the rest in what was left of it.
    return isStripped ? oneBased(authoredPosition(code, position)) : position;
  };
  const problems: ScriptCompileError[] = [];
  const at = (problem: string, node: Node | null) => {
    const start = node?.loc?.start;
    return new ScriptCompileError(owner, problem, code, start === undefined ? null : placeOf(start));
  };
  const fail: Fail = (problem, node) => {
    throw at(problem, node);
  };
  const note: Note = (problem, node) => {
    if (problems.length < PROBLEMS_MAX_COUNT) problems.push(at(problem, node));
  };
  const attempt = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw blamed(error, owner, code, placeOf);
    }
  };
  return attempt(() => {
    const stripped = isTyped ? stripTypes(code) : code;
    isStripped = true;
    const program = parse(stripped, PARSE_OPTIONS);
    refuseDynamic(program, fail);
    refuseTopLevelAwait(program, fail);
    if (isTyped) refuseLostNamespaces(code, program, fail);
    return { owner, code: stripped, program, fail, note, problems, attempt };
  });
}

/** `placeOf`: where in the file acorn's places are. */
function blamed(error: unknown, owner: string, code: string, placeOf: (position: Position) => ErrorPlace): Error {
  if (error instanceof ScriptCompileError) return error;
  if (error instanceof RangeError) return new ScriptCompileError(owner, "is nested too deeply", code, null, error);
  const { problem, place } = syntaxProblem(error, placeOf);
  return new ScriptCompileError(owner, problem, code, place, error);
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

const NAMESPACE = /^[ \t]*(?:export[ \t]+)?(?:namespace|module)[ \t]+([\w$]+)[\w$.]*[ \t]*\{/gm;

/** They go with the types, what is in them too: then whoever uses it would fail on every event. */
function refuseLostNamespaces(code: string, program: Program, fail: Fail): void {
  const names = new Set([...code.matchAll(NAMESPACE)].map(([, name]) => name));
  if (names.size === 0) return;
  for (const { name, node } of freeIdentifiers(program)) {
    if (names.has(name))
      fail(`cannot use namespace ${name}: namespaces are removed with the types; write a module of the team`, node);
  }
}

const FUNCTION = /^(Function|ArrowFunction)/;

function isImportMeta(node: Node): boolean {
  return (node as Node & { meta: { name: string } }).meta.name === "import";
}

/** Both parsers say where in `loc`, and again at the end of their messages. */
function syntaxProblem(error: unknown, placeOf: (position: Position) => ErrorPlace) {
  const { loc } = error as { loc?: Position };
  const problem = messageOf(error).replace(/ ?\(\d+:\d+\)$/, "");
  return { problem, place: loc === undefined ? null : placeOf(loc) };
}

function oneBased({ line, column }: Position): ErrorPlace {
  return { line, column: column + 1 };
}
