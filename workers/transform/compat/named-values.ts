/** What a program's text says about its functions and exports, however they are written down. */
import type { Expression, Function as FunctionNode, Identifier, Node, Program } from "acorn";
import { childrenOf } from "../syntax-tree.ts";

/** Any part of a node by name; acorn's own types are one union of all. */
export interface Parts extends Node {
  [part: string]: unknown;
}

export function* nodesOf(program: Program): Generator<Parts> {
  const pending: Node[] = [program];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    yield node as Parts;
    for (const child of childrenOf(node)) pending.push(child);
  }
}

/** `name` of `holder.name`, where the node is that; `holder["name"]` too. */
export function memberName(node: Node): string | null {
  if (node.type !== "MemberExpression") return null;
  const { property, computed } = node as Parts & { property: Node; computed: boolean };
  if (!computed) return (property as Identifier).name;
  const { value } = property as Parts;
  return typeof value === "string" ? value : null;
}

export function isNamed(node: unknown, name: string): boolean {
  return (node as Partial<Identifier> | null)?.type === "Identifier" && (node as Identifier).name === name;
}

/** The literal key of a property. */
export function keyOf(property: Parts): string | null {
  const { key, computed } = property as Parts & { key: Node; computed: boolean };
  if (key === undefined) return null;
  if (key.type === "Identifier") return computed ? null : (key as Identifier).name;
  const { value } = key as Parts;
  return typeof value === "string" ? value : null;
}

/** Functions with the name that they are declared, kept or assigned under. */
export function* namedFunctions(program: Program): Generator<{ name: string; node: FunctionNode }> {
  for (const node of nodesOf(program)) {
    const named = nameAndValue(node);
    if (named !== null && isFunction(named.value)) yield { name: named.name, node: named.value };
  }
}

function nameAndValue(node: Parts): { name: string; value: unknown } | null {
  const id = node.id as Identifier | null | undefined;
  if (node.type === "FunctionDeclaration" && id) return { name: id.name, value: node };
  if (node.type === "VariableDeclarator" && id?.type === "Identifier") return { name: id.name, value: node.init };
  if (node.type === "Property") return namedOrNull(keyOf(node), node.value);
  if (node.type === "AssignmentExpression") return namedOrNull(memberName(node.left as Node), node.right);
  return null;
}

function namedOrNull(name: string | null, value: unknown) {
  return name === null ? null : { name, value };
}

function isFunction(value: unknown): value is FunctionNode {
  return /^(Function|ArrowFunction)/.test((value as Node | null | undefined)?.type ?? "");
}

/** What a CommonJS module, or the default export of an ES module, holds by name. */
export function* assignedExports(program: Program): Generator<{ name: string; node: Node }> {
  const objects = objectsByName(program);
  for (const node of nodesOf(program)) {
    if (node.type === "ExportDefaultDeclaration") yield* propertiesOf(node.declaration as Node, objects);
    if (node.type !== "AssignmentExpression") continue;
    const left = node.left as Parts;
    if (isModuleExports(left) || (isExports(left.object) && memberName(left) === "default")) {
      yield* propertiesOf(node.right as Node, objects);
    } else if (isExports(left.object)) {
      const name = memberName(left);
      if (name !== null) yield { name, node };
    }
  }
}

/** `exports` or `module.exports`. */
function isExports(node: unknown): boolean {
  return isNamed(node, "exports") || isModuleExports(node);
}

function isModuleExports(node: unknown): boolean {
  const { type, object } = (node ?? {}) as Partial<Parts>;
  return type === "MemberExpression" && isNamed(object, "module") && memberName(node as Node) === "exports";
}

function objectsByName(program: Program): Map<string, Node> {
  const found = new Map<string, Node>();
  for (const statement of program.body) {
    if (statement.type !== "VariableDeclaration") continue;
    for (const { id, init } of statement.declarations) {
      if (id.type === "Identifier" && init?.type === "ObjectExpression") found.set(id.name, init);
    }
  }
  return found;
}

function* propertiesOf(value: Node, objects: ReadonlyMap<string, Node>): Generator<{ name: string; node: Node }> {
  const object = value.type === "Identifier" ? objects.get((value as Identifier).name) : value;
  if (object?.type !== "ObjectExpression") return;
  for (const property of (object as Expression & { properties: Parts[] }).properties) {
    const name = keyOf(property);
    if (name !== null) yield { name, node: property };
  }
}
