/**
 * The seam between the compiler and scripts that were written for other products. The compiler asks `dialectOf` about every
 * script that exports no `transform`; where it answers, the authored module stays a module of its own (with `before` and
 * `after` around it, on its own lines) and the bundle's entry is a wrapper that exports `transformBatch` or `transform`.
 * Wrappers and what is put around authored modules are our own text: no fuel is put into them.
 */
import type { Program } from "acorn";
import type { Fail } from "../script-compile-error.ts";

export interface Dialect {
  readonly name: "posthog" | "rudderstack";
}

export interface Wrapper {
  /** ES module; imports the authored module as `./<authored>` and libraries by `libraryModule(name)` of library-names.ts. */
  code: string;
  /** `headwater:*` names of what it imports; `headwater:compat-<file>` for compat/isolate/<file>.ts. */
  libraries: string[];
}

export interface Frame {
  /** Put before the first line's first character: no line break. */
  before: string;
  /** Put after the end. */
  after: string;
  /** As in `Wrapper`. */
  libraries: string[];
}

/** Null for a script that is not in another product's dialect. `exportNames` is empty for CommonJS. */
export function dialectOf(_exportNames: readonly string[], _program: Program): Dialect | null {
  return null;
}

/** Reports, through `fail`, what the dialect knows and cannot work here: network, storage, … */
export function checkDialect(_dialect: Dialect, _program: Program, _fail: Fail): void {}

/** Another name for what a script of this dialect imports (`headwater:…` or a team module's id); null: as it is written. */
export function aliasOf(_dialect: Dialect, _specifier: string): string | null {
  return null;
}

/** What goes around the authored module, so that names which that product provides are bound. */
export function frameFor(_dialect: Dialect, _program: Program): Frame {
  return { before: "", after: "", libraries: [] };
}

/** The entry of a script in this dialect. `authored`: the name of its module, such as `script-0.js`. */
export function wrapperFor(dialect: Dialect, _authored: string): Wrapper {
  throw new Error(`no wrapper for ${dialect.name}`);
}
