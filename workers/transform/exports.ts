import type { Declaration, Expression, Node, Program } from "acorn";
import type { Fail, Note } from "./script-compile-error.ts";
import { namesIn } from "./syntax-tree.ts";

const NOT_FUNCTIONS = new Set(["Literal", "TemplateLiteral", "ObjectExpression", "ArrayExpression", "ClassExpression"]);

export interface Exported {
  node: Node;
  /** What it is bound to, where the statement shows it. */
  value: Declaration | Expression | null;
}

/** Checks that a script exports one entry, `transform` or `transformBatch`, and that it can be called and answers at once. */
export function checkEntry(exported: ReadonlyMap<string, Exported>, fail: Fail): void {
  const single = exported.get("transform");
  const batch = exported.get("transformBatch");
  if (single !== undefined && batch !== undefined) {
    fail(`exports both "transform" and "transformBatch": export the one that is to be called`, batch.node);
  }
  const entry = single ?? batch;
  const name = single === undefined ? "transformBatch" : "transform";
  if (entry === undefined) {
    const found = exported.size === 0 ? "nothing" : [...exported.keys()].map((key) => `"${key}"`).join(", ");
    fail(`exports ${found}: it must export a function "transform(event, ctx)" or "transformBatch(events, ctx)"`, null);
    return;
  }
  const { node, value } = entry;
  if (value === null) return;
  if (value.type === "ClassDeclaration" || NOT_FUNCTIONS.has(value.type))
    fail(`its export "${name}" is not a function`, node);
  const { async, generator } = value as { async?: boolean; generator?: boolean };
  if (async === true) fail(`${name} must be synchronous: it is an async function`, node);
  if (generator === true) fail(`${name} must return what it makes: it is a generator function`, node);
}

/** Refuses what would make a promise of a module: whoever loads it would wait for the script's own `then`. */
export function refuseThen(exported: ReadonlyMap<string, Exported>, note: Note): void {
  const then = exported.get("then");
  if (then !== undefined) note('cannot export "then": whoever loads it would take it for a promise', then.node);
}

/** What a module exports by name; `export * from` aside. */
export function exportsOf(program: Program): Map<string, Exported> {
  const found = new Map<string, Exported>();
  const local = declarationsOf(program);
  for (const node of program.body) {
    if (node.type === "ExportDefaultDeclaration") found.set("default", { node, value: null });
    if (node.type === "ExportAllDeclaration" && node.exported) found.set(nameOf(node.exported), { node, value: null });
    if (node.type !== "ExportNamedDeclaration") continue;
    if (node.declaration) for (const [name, value] of declared(node.declaration)) found.set(name, { node, value });
    for (const { exported, local: from } of node.specifiers) {
      const value = !node.source && from.type === "Identifier" ? (local.get(from.name) ?? null) : null;
      found.set(nameOf(exported), { node, value });
    }
  }
  return found;
}

/** A name as import and export lists write it. */
export function nameOf(name: { type: string; name?: string; value?: unknown }): string {
  return name.type === "Identifier" ? (name.name as string) : String(name.value);
}

type Named = [name: string, value: Declaration | Expression | null];

function declarationsOf(program: Program): Map<string, Named[1]> {
  const all: Named[] = [];
  for (const node of program.body) {
    if (
      node.type === "FunctionDeclaration" ||
      node.type === "ClassDeclaration" ||
      node.type === "VariableDeclaration"
    ) {
      all.push(...declared(node));
    }
  }
  return new Map(all);
}

function declared(declaration: Declaration): Named[] {
  if (declaration.type !== "VariableDeclaration")
    return declaration.id === null ? [] : [[declaration.id.name, declaration]];
  // A `let` may be assigned again: only a constant is what its initial value is.
  const isConstant = declaration.kind === "const";
  return declaration.declarations.flatMap(({ id, init }): Named[] =>
    id.type === "Identifier"
      ? [[id.name, isConstant ? (init ?? null) : null]]
      : namesIn(id).map((name): Named => [name, null]),
  );
}
