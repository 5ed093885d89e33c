/**
 * Imports of a team's scripts: what each specifier stands for, and whether that exports what is asked of it. A script may import
 * the team's modules by id and the headwater:* libraries; everything else is refused when it is published.
 */
import type { ImportDeclaration, Literal, Node, Program } from "acorn";
import { COMPAT_LIBRARIES } from "./compat/libraries.ts";
import { exportsOf, nameOf } from "./exports.ts";
import { LIBRARIES, libraryModule, teamModule } from "./library-names.ts";
import type { ParsedModule } from "./module-source.ts";

/** The resolved imports of one file. */
export interface Linked {
  /** What to write in the place of each specifier. */
  rewrites: { node: Literal; to: string }[];
  /** Ids of modules of the team that it imports itself, with the statements. */
  modules: Map<string, Node>;
  libraries: Set<string>;
}

/** Another product's name for a library or module; null where it has none. */
export type AliasOf = (specifier: string) => string | { problem: string } | null;

type Target = { module: string } | { library: string } | { problem: string };

const NODE_BUILTINS: Readonly<Record<string, string>> = {
  crypto: "headwater:hash",
  url: "headwater:url",
  querystring: "headwater:url",
};
const ONLY = "a script can import modules of its team and headwater:* libraries only";

/** A team's modules by id; null for one that does not parse, whose exports nobody knows. */
export type TeamModules = ReadonlyMap<string, ParsedModule | null>;

/** Resolves the imports of a file; what cannot be imported is noted there. */
export function link({ program, note }: ParsedModule, team: TeamModules, aliasOf: AliasOf = () => null): Linked {
  const linked: Linked = { rewrites: [], modules: new Map(), libraries: new Set() };
  for (const { node, source } of importsOf(program)) {
    const specifier = String(source.value);
    const alias = aliasOf(specifier);
    const target = alias === null ? resolve(specifier, team) : resolveAlias(alias, team);
    if ("problem" in target) {
      note(target.problem, node);
      continue;
    }
    if ((node as ImportDeclaration).attributes?.length > 0) note("cannot import with attributes", node);
    const to = "module" in target ? teamModule(target.module) : libraryModule(target.library);
    linked.rewrites.push({ node: source, to: `./${to}` });
    if ("module" in target) linked.modules.set(target.module, node);
    else linked.libraries.add(target.library);
    const offered = "module" in target ? namesOf(target.module, team) : exportedBy(target.library);
    if (offered === null) continue;
    for (const { name, at } of askedOf(node)) {
      if (!offered.has(name)) note(`"${specifier}" exports no "${name}": it has ${list([...offered].sort())}`, at);
    }
  }
  return linked;
}

function exportedBy(library: string): Set<string> {
  return new Set(LIBRARIES[library] ?? COMPAT_LIBRARIES[library]);
}

/** Modules that import each other in a circle: noted at the import that closes it. */
export function refuseCircles(team: TeamModules, linked: ReadonlyMap<string, Linked>): void {
  const done = new Set<string>();
  const visit = (id: string, path: readonly string[]) => {
    if (done.has(id)) return;
    for (const [next, node] of linked.get(id)?.modules ?? []) {
      const from = [...path, id].indexOf(next);
      if (from === -1) visit(next, [...path, id]);
      else {
        const circle = [...[...path, id].slice(from), next].join(" → ");
        team.get(id)?.note(`modules cannot import each other in a circle: ${circle}`, node);
      }
    }
    done.add(id);
  };
  for (const id of team.keys()) visit(id, []);
}

/** The modules that these files import, and what those import. */
export function reachable(from: Iterable<Linked>, linked: ReadonlyMap<string, Linked>): Set<string> {
  const found = new Set<string>();
  const pending = [...from];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    for (const id of file.modules.keys()) {
      if (found.has(id)) continue;
      found.add(id);
      const next = linked.get(id);
      if (next !== undefined) pending.push(next);
    }
  }
  return found;
}

function importsOf(program: Program): { node: Node; source: Literal }[] {
  return program.body.flatMap((node) =>
    (node.type === "ImportDeclaration" ||
      node.type === "ExportNamedDeclaration" ||
      node.type === "ExportAllDeclaration") &&
    node.source
      ? [{ node, source: node.source }]
      : [],
  );
}

/** Aliases alone lead to libraries that stand in for another product's own. */
function resolveAlias(alias: string | { problem: string }, team: TeamModules): Target {
  if (typeof alias === "object") return alias;
  return Object.hasOwn(COMPAT_LIBRARIES, alias) ? { library: alias } : resolve(alias, team);
}

function resolve(specifier: string, team: TeamModules): Target {
  if (Object.hasOwn(LIBRARIES, specifier)) return { library: specifier };
  if (team.has(specifier)) return { module: specifier };
  const id = specifier.replace(/^\.\//, "").replace(/\.m?[jt]s$/, "");
  if (team.has(id)) return { module: id };
  return { problem: problemWith(specifier, id, team) };
}

function problemWith(specifier: string, id: string, team: TeamModules): string {
  const cannot = `cannot import "${specifier}"`;
  const libraries = list(Object.keys(LIBRARIES).sort());
  const modules = team.size === 0 ? "the team has no modules" : `the team's modules are ${list([...team.keys()])}`;
  if (specifier === "headwater") return `${cannot} but for its types: write import type`;
  if (specifier.startsWith("headwater:")) return `${cannot}: the libraries are ${libraries}`;
  if (/^[a-z]+:\/\//.test(specifier)) return `${cannot}: ${ONLY}; put the code into a module of the team`;
  if (specifier.startsWith(".") || specifier.startsWith("/")) {
    return `${cannot}: ${ONLY}, and there is no module "${id.replace(/^.*\//, "")}"; ${modules}`;
  }
  const instead = NODE_BUILTINS[specifier.replace(/^node:/, "")];
  if (instead !== undefined) return `${cannot}: ${ONLY}; use ${instead}`;
  return `${cannot}: ${ONLY}, no packages; ${modules}; the libraries are ${libraries}`;
}

/** What a module exports; null where nobody knows. */
function namesOf(id: string, team: TeamModules, seen: ReadonlySet<string> = new Set()): Set<string> | null {
  const program = team.get(id)?.program;
  if (program === undefined) return null;
  const names = new Set(exportsOf(program).keys());
  for (const node of program.body) {
    if (node.type !== "ExportAllDeclaration" || node.exported) continue;
    const target = resolve(String(node.source.value), team);
    if ("problem" in target || ("module" in target && seen.has(target.module))) return null;
    const more = "module" in target ? namesOf(target.module, team, new Set([...seen, id])) : LIBRARIES[target.library];
    if (more === null || more === undefined) return null;
    for (const name of more) if (name !== "default") names.add(name);
  }
  return names;
}

/** The names that an import or a re-export asks for. */
function askedOf(node: Node): { name: string; at: Node }[] {
  const { specifiers = [] } = node as Partial<ImportDeclaration>;
  return specifiers.flatMap((specifier) => {
    if (specifier.type === "ImportDefaultSpecifier") return [{ name: "default", at: specifier }];
    if (specifier.type === "ImportSpecifier") return [{ name: nameOf(specifier.imported), at: specifier }];
    const { local } = specifier as unknown as { local: Parameters<typeof nameOf>[0] };
    return (specifier.type as string) === "ExportSpecifier" ? [{ name: nameOf(local), at: specifier as Node }] : [];
  });
}

function list(names: readonly string[]): string {
  return names.length === 0 ? "nothing" : names.join(", ");
}
