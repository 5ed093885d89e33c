/**
 * Fuel: stops a script that does not end, inside its own call and at the same step every time.
 *
 * Every loop iteration and every entry into a function first calls `burn`, which the isolate's tank counts; an empty tank
 * throws, and goes on throwing at every further step, so that `catch` and `finally` cannot keep a script alive. The call
 * goes to an imported binding: it is read-only, no object holds it, and scripts can neither name it (refused here) nor
 * import its module (refused by the compiler). Lines keep their numbers: nothing inserted holds a line break before the
 * end of the code.
 *
 * It does not measure time, and does not see what runs inside one step: a native call over a huge value, or a regular
 * expression that backtracks. The supervisor of the sandbox process is there for those.
 */
import { type Node, type Program, parse } from "acorn";
import MagicString from "magic-string";
import { childrenOf } from "./syntax-tree.ts";

/** The name of `burn` inside scripts. */
export const FUEL_NAME = "__headwater_burn";
/** The module that exports `burn`, as scripts import it. */
export const FUEL_MODULE = "./fuel.js";

/** How every script is parsed: as an ES module. */
export const PARSE_OPTIONS = {
  ecmaVersion: "latest",
  sourceType: "module",
  allowHashBang: false,
  locations: true,
} as const;

/**
 * Instruments an ES module. `edit` may change what is no loop and no function, keeping lines.
 * Throws a SyntaxError with `loc` for code that does not parse, and for code that uses FUEL_NAME.
 */
export function injectFuel(
  code: string,
  program: Program = parse(code, PARSE_OPTIONS),
  edit: (edited: MagicString) => void = () => undefined,
): string {
  const edited = new MagicString(code);
  edit(edited);
  const pending: Node[] = [program];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    instrument(edited, node);
    for (const child of childrenOf(node)) pending.push(child);
  }
  edited.append(`\n;import { burn as ${FUEL_NAME} } from "${FUEL_MODULE}";\n`);
  return edited.toString();
}

interface WithBody extends Node {
  body: Node;
  name?: string;
}

function instrument(edited: MagicString, node: Node): void {
  const { body, name } = node as WithBody;
  switch (node.type) {
    case "Identifier":
      if (name === FUEL_NAME)
        throw Object.assign(new SyntaxError(`${FUEL_NAME} is reserved`), { loc: node.loc?.start });
      return;
    case "ForStatement":
    case "ForInStatement":
    case "ForOfStatement":
    case "WhileStatement":
    case "DoWhileStatement":
    case "FunctionDeclaration":
    case "FunctionExpression":
      intoStatement(edited, body);
      return;
    case "ArrowFunctionExpression":
      if (body.type === "BlockStatement") intoStatement(edited, body);
      else intoExpression(edited, body);
  }
}

function intoStatement(edited: MagicString, body: Node): void {
  if (body.type === "BlockStatement") {
    edited.appendLeft(body.start + 1, `${FUEL_NAME}();`);
    return;
  }
  // Parents are visited first: what a child puts before the same end closes before its parent does.
  edited.prependRight(body.start, `{${FUEL_NAME}();`);
  edited.prependLeft(body.end, "}");
}

function intoExpression(edited: MagicString, body: Node): void {
  edited.prependRight(body.start, `(${FUEL_NAME}(),`);
  edited.prependLeft(body.end, ")");
}
