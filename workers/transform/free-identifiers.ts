/** Which names a program uses without declaring them: what it takes from the global object. */
import type { Identifier, Node, Pattern, Program } from "acorn";
import { childrenOf, namesIn } from "./syntax-tree.ts";

export interface FreeIdentifier {
  name: string;
  node: Identifier;
  /** The node that it stands in. */
  parent: Node;
}

interface Scope {
  names: ReadonlySet<string>;
  outer: Scope | null;
}

interface Visit {
  node: Node;
  parent: Node;
  scope: Scope;
}

/** Where a node keeps what it holds; acorn's own types are one union of all. */
interface Parts extends Node {
  [part: string]: unknown;
}

const FUNCTION = /^(Function|ArrowFunction)/;
const LOOP = /^For/;

/** In no particular order. */
export function* freeIdentifiers(program: Program): Generator<FreeIdentifier> {
  const pending: Visit[] = [{ node: program, parent: program, scope: { names: new Set(), outer: null } }];
  for (let visit = pending.pop(); visit !== undefined; visit = pending.pop()) {
    const { node, parent } = visit;
    if (node.type === "Identifier") {
      const { name } = node as Identifier;
      if (!isDeclared(name, visit.scope)) yield { name, node: node as Identifier, parent };
      continue;
    }
    const names = declaredBy(node);
    const scope = names.length === 0 ? visit.scope : { names: new Set(names), outer: visit.scope };
    for (const child of usesIn(node as Parts)) pending.push({ node: child, parent: node, scope });
  }
}

function isDeclared(name: string, scope: Scope): boolean {
  for (let at: Scope | null = scope; at !== null; at = at.outer) if (at.names.has(name)) return true;
  return false;
}

/** The children that are no mere labels: names of members, of keys, of loops, of what modules import and export. */
function* usesIn(node: Parts): Generator<Node> {
  if (/^(Import(Declaration)|ExportAll|MetaProperty|BreakStatement|ContinueStatement)/.test(node.type)) return;
  const { computed } = node as { computed?: boolean };
  const label = LABELS[node.type];
  if (node.type === "ExportNamedDeclaration" && node.source) return;
  for (const child of childrenOf(node)) {
    if (label === undefined || computed === true || child !== node[label]) yield child;
  }
}

const LABELS: Record<string, string> = {
  MemberExpression: "property",
  Property: "key",
  MethodDefinition: "key",
  PropertyDefinition: "key",
  LabeledStatement: "label",
  ExportSpecifier: "exported",
};

/** What a node declares for what is inside of it. */
function declaredBy(node: Node): string[] {
  const parts = node as Parts;
  if (node.type === "Program") return [...varsIn(node), ...lexicalIn(parts.body as Node[])];
  if (FUNCTION.test(node.type)) {
    const own = node.type === "FunctionExpression" ? idOf(parts) : [];
    const implied = node.type === "ArrowFunctionExpression" ? [] : ["arguments"];
    return [...own, ...implied, ...(parts.params as Pattern[]).flatMap(namesIn), ...varsIn(parts.body as Node)];
  }
  if (node.type === "ClassExpression" || node.type === "ClassDeclaration") return idOf(parts);
  if (node.type === "BlockStatement") return lexicalIn(parts.body as Node[]);
  if (node.type === "StaticBlock") return [...varsIn(node), ...lexicalIn(parts.body as Node[])];
  if (node.type === "SwitchStatement") {
    return lexicalIn((parts.cases as { consequent: Node[] }[]).flatMap(({ consequent }) => consequent));
  }
  if (node.type === "CatchClause") return parts.param === null ? [] : namesIn(parts.param as Pattern);
  if (LOOP.test(node.type)) {
    const head = (parts.init ?? parts.left ?? null) as Node | null;
    return head === null ? [] : lexicalIn([head]);
  }
  return [];
}

/** `var` anywhere below, functions aside. */
function varsIn(root: Node): string[] {
  const found: string[] = [];
  const pending: Node[] = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.type === "VariableDeclaration" && (node as Node & { kind: string }).kind === "var") {
      found.push(...variables(node));
    }
    for (const child of childrenOf(node)) if (!FUNCTION.test(child.type)) pending.push(child);
  }
  return found;
}

/** What a list of statements declares for all of them. */
function lexicalIn(statements: readonly Node[]): string[] {
  return statements.flatMap((statement) => {
    const parts = statement as Parts;
    if (statement.type.startsWith("Export") && parts.declaration) return lexicalIn([parts.declaration as Node]);
    if (statement.type === "VariableDeclaration") return variables(statement);
    if (statement.type === "ImportDeclaration") return (parts.specifiers as { local: Identifier }[]).map(localName);
    return /^(Function|Class)Declaration$/.test(statement.type) ? idOf(parts) : [];
  });
}

function variables(declaration: Node): string[] {
  return ((declaration as Parts).declarations as { id: Pattern }[]).flatMap(({ id }) => namesIn(id));
}

function idOf({ id }: Parts): string[] {
  return id === null || id === undefined ? [] : [(id as Identifier).name];
}

function localName({ local }: { local: Identifier }): string {
  return local.name;
}
