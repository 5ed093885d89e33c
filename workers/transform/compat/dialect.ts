/**
 * The seam between the compiler and scripts that were written for other products. The compiler asks `dialectOf` about every
 * script that exports no `transform`; where it answers, the authored module stays a module of its own (with `before` and
 * `after` around it, on its own lines) and the bundle's entry is a wrapper that exports `transformBatch` or `transform`.
 * Wrappers and what is put around authored modules are our own text: no fuel is put into them.
 */
import type { Program } from "acorn";
import type { Note } from "../script-compile-error.ts";
import { posthog } from "./posthog-dialect.ts";
import { rudderstack } from "./rudderstack-dialect.ts";

/** The calls of a script that are made: for each event, or for a batch. */
export type Entry = "transform" | "transformBatch";

export interface Dialect {
  readonly name: "posthog" | "rudderstack";
  /** What its wrapper exports. */
  readonly entry: Entry;
  /** Names of the global object that the frame binds, or that are spoken about by `checkDialect`. */
  readonly bound: ReadonlySet<string>;
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

/** Another name for what a script imports (`headwater:…` or a team module's id), or why it cannot. Null: as it is written. */
export type Alias = string | { problem: string } | null;

/** One file for each product. */
export interface DialectKind {
  /** Null for a script that is none of this product's. */
  detect(exportNames: readonly string[], program: Program): Dialect | null;
  check(program: Program, note: Note): void;
  alias(specifier: string): Alias;
  frame(program: Program): Frame;
  wrap(dialect: Dialect, authored: string): Wrapper;
}

const KINDS: Readonly<Record<Dialect["name"], DialectKind>> = { posthog, rudderstack };

/** Null for a script that is not in another product's dialect. `exportNames` is empty for CommonJS. */
export function dialectOf(exportNames: readonly string[], program: Program): Dialect | null {
  return posthog.detect(exportNames, program) ?? rudderstack.detect(exportNames, program);
}

/** Notes what the dialect knows and cannot work here: network, storage, … */
export function checkDialect(dialect: Dialect, program: Program, note: Note): void {
  KINDS[dialect.name].check(program, note);
}

export function aliasOf(dialect: Dialect, specifier: string): Alias {
  return KINDS[dialect.name].alias(specifier);
}

/** What goes around the authored module, so that names which that product provides are bound. */
export function frameFor(dialect: Dialect, program: Program): Frame {
  return KINDS[dialect.name].frame(program);
}

/** The entry of a script in this dialect. `authored`: the name of its module, such as `script-0.js`. */
export function wrapperFor(dialect: Dialect, authored: string): Wrapper {
  return KINDS[dialect.name].wrap(dialect, authored);
}
