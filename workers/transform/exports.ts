import type { Declaration, Expression, Node, Pattern, Program } from "acorn";
import type { Fail } from "./script-compile-error.ts";

/** Entry points of other script dialects: refused by name, so that nobody waits for one to be called. */
const OTHER_ENTRIES = new Set(["transformBatch", "processEvent", "setupPlugin", "transformEvent", "onEvent"]);
const NOT_FUNCTIONS = new Set(["Literal", "TemplateLiteral", "ObjectExpression", "ArrayExpression", "ClassExpression"]);

interface Exported {
  node: Node;
  /** What it is bound to, where the statement shows it. */
  value: Declaration | Expression | null;
}

/** Checks that a script has `export function transform`, and that it can be called and answers at once. */
export function checkExports(program: Program, fail: Fail): void {
  const exported = exportsOf(program);
  for (const [name, { node }] of exported) {
    if (OTHER_ENTRIES.has(name))
      fail(`exports "${name}", which is not called: export a function "transform" instead`, node);
  }
  const entry = exported.get("transform");
  if (entry === undefined) {
    const found = exported.size === 0 ? "nothing" : [...exported.keys()].map((name) => `"${name}"`).join(", ");
    fail(`exports ${found}: it must export a function "transform(event, ctx)"`, null);
    return;
  }
  const { node, value } = entry;
  if (value === null) return;
  if (value.type === "ClassDeclaration" || NOT_FUNCTIONS.has(value.type))
    fail(`its export "transform" is not a function`, node);
  const { async, generator } = value as { async?: boolean; generator?: boolean };
  if (async === true) fail("transform must be synchronous: it is an async function", node);
  if (generator === true) fail("transform must return an event: it is a generator function", node);
}

function exportsOf(program: Program): Map<string, Exported> {
  const found = new Map<string, Exported>();
  const local = declarationsOf(program);
  for (const node of program.body) {
    if (node.type === "ExportDefaultDeclaration") found.set("default", { node, value: null });
    if (node.type === "ExportAllDeclaration" || node.type !== "ExportNamedDeclaration") continue;
    if (node.declaration) for (const [name, value] of declared(node.declaration)) found.set(name, { node, value });
    for (const { exported, local: from } of node.specifiers) {
      const value = from.type === "Identifier" ? (local.get(from.name) ?? null) : null;
      found.set(exported.type === "Identifier" ? exported.name : String(exported.value), { node, value });
    }
  }
  return found;
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

function namesIn(pattern: Pattern): string[] {
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name];
    case "ObjectPattern":
      return pattern.properties.flatMap((property) =>
        namesIn(property.type === "RestElement" ? property.argument : property.value),
      );
    case "ArrayPattern":
      return pattern.elements.flatMap((element) => (element === null ? [] : namesIn(element)));
    case "AssignmentPattern":
      return namesIn(pattern.left);
    case "RestElement":
      return namesIn(pattern.argument);
    default:
      return [];
  }
}
