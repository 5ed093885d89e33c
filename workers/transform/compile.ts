/**
 * Publish time: turns a team's scripts into a bundle. Pure; runs inside workerd, in the console worker.
 * Each file is parsed and checked (module-source.ts), its imports are resolved (link.ts), and fuel is put in (fuel.ts).
 */
import type MagicString from "magic-string";
import type { Filter } from "../../shared/filter.ts";
import type { Bundle, BundleScript } from "../../shared/snapshot.ts";
import { bundleHash } from "./bundle.ts";
import { aliasOf, checkDialect, type Dialect, dialectOf, frameFor, wrapperFor } from "./compat/dialect.ts";
import { checkEntry, exportsOf, refuseThen } from "./exports.ts";
import { noteForbidden } from "./forbidden-globals.ts";
import { injectFuel } from "./fuel.ts";
import { teamModule } from "./library-names.ts";
import { type Linked, link, reachable, refuseCircles } from "./link.ts";
import { type ModuleSource, type ParsedModule, parseModule } from "./module-source.ts";
import { moduleOwner, ScriptCompileError } from "./script-compile-error.ts";

export type { ModuleSource } from "./module-source.ts";

/** With what a snapshot holds beside it, it has to fit one row of D1. */
const TEAM_MAX_CHARS = 1024 * 1024;

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

type Shaper = NonNullable<Bundle["shapers"]>[string];

/** Throws the first ScriptCompileError of a team that cannot be published; the further ones are its `also`. */
export async function compileBundle(source: BundleSource): Promise<Bundle> {
  const { team, scripts, shapers = [], filters } = source;
  const compiler = new Compiler(source);
  const chain = scripts.map((script, position) => ({
    ...(compiler.script(script, `script-${position}`) as BundleScript),
    ...(script.source === undefined ? {} : { source: script.source }),
  }));
  const own = shapers.map(
    (script, i) => [script.destination, compiler.script(script, `shaper-${i}`) as Shaper] as const,
  );
  const { modules, libraries } = compiler.finish();
  const bundle: Omit<Bundle, "hash"> = { team, scripts: chain, filters, modules };
  if (own.length > 0) bundle.shapers = Object.fromEntries(own);
  if (libraries.length > 0) bundle.libraries = libraries;
  return { hash: await bundleHash(bundle), ...bundle };
}

/** Compiles the files of one team, and gathers what is wrong with them. */
class Compiler {
  readonly #team: string;
  readonly #shared = new Map<string, ParsedModule | null>();
  readonly #linked = new Map<string, Linked>();
  readonly #scripts: Linked[] = [];
  readonly #modules: Record<string, string> = {};
  readonly #libraries = new Set<string>();
  readonly #problems: ScriptCompileError[] = [];
  #chars = 0;

  constructor({ team, modules = [] }: BundleSource) {
    this.#team = team;
    for (const source of modules) {
      const owner = moduleOwner(source.id);
      this.#shared.set(source.id, this.#attempt(() => parseModule(this.#counted(source, owner), owner)) ?? null);
    }
    for (const [id, parsed] of this.#shared) {
      if (parsed === null) continue;
      noteForbidden(parsed.program, parsed.note);
      refuseThen(exportsOf(parsed.program), parsed.note);
      this.#linked.set(id, link(parsed, this.#shared));
    }
    refuseCircles(this.#shared, this.#linked);
    for (const parsed of this.#shared.values()) this.#problems.push(...(parsed?.problems ?? []));
  }

  /** One script; its modules are named `<name>.js` and, for its wrapper if it needs one, `<name>.entry.js`. */
  script(source: ScriptSource<string>, name: string) {
    const { id, on_error, inputs, credentials } = source;
    const authored = `${name}.js`;
    const dialect = this.#attempt(() => this.#compile(source, authored));
    const entry = dialect ? this.#wrap(dialect, name) : authored;
    return {
      ...{ id, module: entry, ...(entry === authored ? {} : { authored }), on_error, inputs },
      ...(credentials === undefined ? {} : { credentials }),
    };
  }

  /** Every module of the bundle, and the libraries that they import. Throws where anything was wrong. */
  finish(): { modules: Record<string, string>; libraries: string[] } {
    const [first, ...also] = this.#problems;
    if (first !== undefined) {
      first.also = also;
      throw first;
    }
    for (const id of [...reachable(this.#scripts, this.#linked)].sort()) {
      const linked = this.#linked.get(id) as Linked;
      this.#modules[teamModule(id)] = emit(this.#shared.get(id) as ParsedModule, linked);
      for (const library of linked.libraries) this.#libraries.add(library);
    }
    return { modules: this.#modules, libraries: [...this.#libraries].sort() };
  }

  /** The dialect that the script is written in; null for our own. */
  #compile(source: ScriptSource<string>, authored: string): Dialect | null {
    const parsed = parseModule(this.#counted(source, source.id), source.id);
    const { program, fail, note, problems } = parsed;
    const exported = exportsOf(program);
    refuseThen(exported, note);
    const dialect = exported.has("transform") ? null : dialectOf([...exported.keys()], program);
    noteForbidden(program, note, dialect?.bound);
    const isCallable = this.#attempt(() => {
      if (dialect === null) checkEntry(exported, fail);
      else checkDialect(dialect, program, note);
      return true;
    });
    const linked = link(parsed, this.#shared, (specifier) => (dialect === null ? null : aliasOf(dialect, specifier)));
    const frame = dialect === null ? null : frameFor(dialect, program);
    this.#problems.push(...problems);
    if (problems.length > 0 || isCallable === undefined) return null;
    this.#modules[authored] = emit(parsed, linked, (edited) => {
      if (frame !== null) edited.prepend(frame.before).append(frame.after);
    });
    this.#scripts.push(linked);
    for (const library of [...linked.libraries, ...(frame?.libraries ?? [])]) this.#libraries.add(library);
    return dialect;
  }

  #wrap(dialect: Dialect, name: string): string {
    const { code, libraries } = wrapperFor(dialect, `${name}.js`);
    const entry = `${name}.entry.js`;
    this.#modules[entry] = code;
    for (const library of libraries) this.#libraries.add(library);
    return entry;
  }

  #counted<S extends ModuleSource>(source: S, owner: string): S {
    this.#chars += source.code.length;
    if (this.#chars <= TEAM_MAX_CHARS) return source;
    const problem = `all scripts of team "${this.#team}" together may have ${TEAM_MAX_CHARS} characters at most`;
    throw new ScriptCompileError(owner, problem, source.code, null);
  }

  #attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ScriptCompileError)) throw error;
      this.#problems.push(error);
      return undefined;
    }
  }
}

/** The ES module that runs. */
function emit(parsed: ParsedModule, { rewrites }: Linked, edit: (edited: MagicString) => void = () => undefined) {
  return parsed.attempt(() =>
    injectFuel(parsed.code, parsed.program, (edited) => {
      for (const { node, to } of rewrites) edited.update(node.start, node.end, JSON.stringify(to));
      edit(edited);
    }),
  );
}
