/** What scripts of other places take for granted and an isolate does not have: said when it is published, not at the first event. */
import type { Node, Program } from "acorn";
import { freeIdentifiers } from "./free-identifiers.ts";
import type { Note } from "./script-compile-error.ts";

const NETWORK = "a script has no network: let a destination of its own send what has to be sent";
const TIMERS = "a script has no timers: it must return at once";
const STORAGE = "a script has no storage: give it what it needs as ctx.inputs, or put it into the event";
const CODE = "a script cannot make code from text: put it into the script, or into a module of the team";

const NOTHING: ReadonlySet<string> = new Set();

const ADVICE: Readonly<Record<string, string>> = {
  fetch: NETWORK,
  XMLHttpRequest: NETWORK,
  WebSocket: NETWORK,
  EventSource: NETWORK,
  setTimeout: TIMERS,
  setInterval: TIMERS,
  setImmediate: TIMERS,
  eval: CODE,
  WebAssembly: CODE,
  importScripts: "import a module of the team, or a headwater:* library, at the top of the script",
  require: "import a module of the team, or a headwater:* library, at the top of the script",
  process: "a script has no environment: use ctx.inputs, and ctx.credentials for secrets",
  Buffer: "use Uint8Array with TextEncoder and TextDecoder, or headwater:hash",
  caches: STORAGE,
  indexedDB: STORAGE,
  localStorage: STORAGE,
  sessionStorage: STORAGE,
};

/**
 * Notes every use of them, in the order of the text. What a script declares itself, what is `bound` around it, and `typeof`, are
 * left alone.
 */
export function noteForbidden(program: Program, note: Note, bound: ReadonlySet<string> = NOTHING): void {
  const found = [...freeIdentifiers(program)].filter(({ name, node, parent }) =>
    name === "Function" ? isCalled(parent, node) : Object.hasOwn(ADVICE, name) && !isTypeof(parent) && !bound.has(name),
  );
  found.sort((a, b) => a.node.start - b.node.start);
  for (const { name, node } of found) note(`cannot use ${name}: ${ADVICE[name] ?? CODE}`, node);
}

function isTypeof(parent: Node): boolean {
  return parent.type === "UnaryExpression" && (parent as Node & { operator: string }).operator === "typeof";
}

function isCalled(parent: Node, node: Node): boolean {
  return /^(New|Call)Expression$/.test(parent.type) && (parent as Node & { callee: Node }).callee === node;
}
