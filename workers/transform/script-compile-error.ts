import type { Node } from "acorn";
import { AppError } from "../../shared/errors.ts";

export interface ErrorPlace {
  /** From 1. */
  line: number;
  /** From 1. */
  column: number;
}

/** Throws a ScriptCompileError that points at the node. */
export type Fail = (problem: string, node: Node | null) => never;

/** Notes a problem that points at the node; what was noted is thrown after the last check. */
export type Note = (problem: string, node: Node | null) => void;

const FRAME_CONTEXT_LINES = 2;
const FRAME_MAX_CHARS = 120;

/** A module of the team has this before its id, where scripts and modules are named alike. */
const MODULE_PREFIX = "module:";

/** How errors name a module of the team: its id in `ScriptCompileError.script`. */
export function moduleOwner(id: string): string {
  return MODULE_PREFIX + id;
}

/** A script or module that cannot be published. The message names it and the place, and shows the code there. */
export class ScriptCompileError extends AppError {
  /** Its id in the bundle; `module:<id>` for a module of the team. */
  readonly script: string;
  readonly line: number | null;
  readonly column: number | null;
  /** The lines around the place, with a mark under it; empty without a place. */
  readonly frame: string;
  /** Further problems of the same team that were found in the same go. */
  also: readonly ScriptCompileError[] = [];

  constructor(script: string, problem: string, code: string, place: ErrorPlace | null, cause?: unknown) {
    const frame = place === null ? "" : codeFrame(code, place);
    const where = place === null ? "" : ` at line ${place.line}, column ${place.column}`;
    super(
      "script_compile_error",
      400,
      `${nameOf(script)}: ${problem}${where}${frame === "" ? "" : `\n${frame}`}`,
      cause === undefined ? {} : { cause },
    );
    this.script = script;
    this.line = place?.line ?? null;
    this.column = place?.column ?? null;
    this.frame = frame;
  }
}

function codeFrame(code: string, { line, column }: ErrorPlace): string {
  const lines = code.split("\n");
  const first = Math.max(1, line - FRAME_CONTEXT_LINES);
  const last = Math.min(lines.length, line + FRAME_CONTEXT_LINES);
  const width = String(last).length;
  const shown: string[] = [];
  for (let number = first; number <= last; number++) {
    const text = (lines[number - 1] as string).slice(0, FRAME_MAX_CHARS);
    shown.push(`${number === line ? ">" : " "} ${String(number).padStart(width)} | ${text}`.trimEnd());
    if (number === line && column <= FRAME_MAX_CHARS) shown.push(`  ${" ".repeat(width)} | ${" ".repeat(column - 1)}^`);
  }
  return shown.join("\n");
}

function nameOf(script: string): string {
  return script.startsWith(MODULE_PREFIX) ? `module "${script.slice(MODULE_PREFIX.length)}"` : `script "${script}"`;
}
