/** Plugins of PostHog: `processEvent(event, meta)`, `processEventBatch(events, meta)`, `setupPlugin(meta)`. */
import type { CallExpression, Function as FunctionNode, Node, ObjectPattern, Program } from "acorn";
import { exportsOf } from "../exports.ts";
import { freeIdentifiers } from "../free-identifiers.ts";
import { libraryModule } from "../library-names.ts";
import type { Note } from "../script-compile-error.ts";
import type { Alias, Dialect, DialectKind, Entry, Frame, Wrapper } from "./dialect.ts";
import { MISSING_META } from "./isolate/parts/posthog-meta.ts";
import { assignedExports, isNamed, keyOf, memberName, namedFunctions, nodesOf, type Parts } from "./named-values.ts";

const EXPORTER =
  "the transformations only change events: what gets them afterwards is a destination, with a script of its own if need be";
const TASK = "a script runs only when there are events";

/** Calls that PostHog makes and Headwater does not. */
export const POSTHOG_REFUSED_CALLS: Readonly<Record<string, string>> = {
  onEvent: EXPORTER,
  onSnapshot: EXPORTER,
  onAction: EXPORTER,
  exportEvents: EXPORTER,
  composeWebhook: `${EXPORTER}; a webhook destination's script returns { url, headers, body }`,
  runEveryMinute: TASK,
  runEveryHour: TASK,
  runEveryDay: TASK,
  handleAlert: TASK,
};
const HOOKS = [
  "processEvent",
  "processEventBatch",
  "setupPlugin",
  "teardownPlugin",
  ...Object.keys(POSTHOG_REFUSED_CALLS),
];

/** Names that PostHog puts into the global object. */
const REFUSED_GLOBALS: Readonly<Record<string, string>> = {
  posthog:
    "a plugin cannot capture events or call PostHog's API: a script that exports transform may return several events",
  google: "a script has no network: let a destination of its own send what has to be sent",
};

/** What PostHog let plugins import. */
export const POSTHOG_IMPORTS: Readonly<Record<string, string>> = {
  "@posthog/plugin-scaffold": "headwater:compat-scaffold",
  crypto: "headwater:compat-crypto",
  "node:crypto": "headwater:compat-crypto",
  url: "headwater:compat-url",
  "node:url": "headwater:compat-url",
};
const NETWORKED = ["node-fetch", "aws-sdk", "@google-cloud/pubsub", "@google-cloud/storage", "@google-cloud/bigquery"];
const REFUSED_IMPORTS = new Set([...NETWORKED, "@posthog/plugin-contrib", "generic-pool", "pg", "snowflake-sdk"]);

const SCOPE = ["module", "exports", "require"] as const;
const SCOPE_NAME = "__headwater_scope";

export const posthog: DialectKind = {
  detect(exportNames, program) {
    const names = new Set([...exportNames, ...[...assignedExports(program)].map(({ name }) => name)]);
    if (!HOOKS.some((hook) => names.has(hook))) return null;
    const entry: Entry = !names.has("processEvent") && names.has("processEventBatch") ? "transformBatch" : "transform";
    return { name: "posthog", entry, bound: new Set(isCommonJs(program) ? SCOPE : []) };
  },

  check(program, note) {
    checkHooks(program, note);
    checkMeta(program, note);
    checkRequires(program, note);
    for (const { name, node } of freeIdentifiers(program)) {
      const instead = Object.hasOwn(REFUSED_GLOBALS, name) ? REFUSED_GLOBALS[name] : undefined;
      if (instead !== undefined) note(`cannot use ${name}: ${instead}`, node);
    }
  },

  alias: aliasOf,

  frame(program): Frame {
    if (!isCommonJs(program)) return { before: "", after: "", libraries: [] };
    const libraries = [
      "headwater:compat-commonjs",
      ...new Set(requiresOf(program).flatMap(({ name }) => libraryOf(name))),
    ];
    const imports = libraries.map((library, i) => `import * as __headwater_${i} from "./${libraryModule(library)}";`);
    const modules = requiresOf(program).flatMap(({ name }) =>
      libraryOf(name).map((library) => `${JSON.stringify(name)}: __headwater_${libraries.indexOf(library)}`),
    );
    const bound = boundIn(program);
    const exported = bound.flatMap((name) => (name === "require" ? [] : [`${name} as __headwater_${name}`]));
    return {
      before: `const ${SCOPE_NAME} = __headwater_0.commonJs({ ${modules.join(", ")} }); let { ${bound.join(", ")} } = ${SCOPE_NAME};`,
      after: `\n;${imports.join("")}export { ${exported.join(", ")} };\n`,
      libraries,
    };
  },

  wrap({ entry }: Dialect, authored): Wrapper {
    const library = "headwater:compat-posthog";
    const code = `import * as script from "./${authored}";
import { pluginOf } from "./${libraryModule(library)}";
const plugin = pluginOf(script);
export const asynchronous = true;
export const setup = (context) => plugin.setup(context);
export const ${entry} = (given, context) => plugin.${entry}(given, context);
`;
    return { code, libraries: [library] };
  },
};

/** Those of a CommonJS module's own names that this one has not declared itself. */
function boundIn(program: Program): string[] {
  const free = new Set([...freeIdentifiers(program)].map(({ name }) => name));
  return SCOPE.filter((name) => free.has(name));
}

function isCommonJs(program: Program): boolean {
  return boundIn(program).length > 0;
}

function aliasOf(specifier: string): Alias {
  if (Object.hasOwn(POSTHOG_IMPORTS, specifier)) return POSTHOG_IMPORTS[specifier] as string;
  if (!REFUSED_IMPORTS.has(specifier)) return null;
  return { problem: `cannot import "${specifier}": ${insteadOf(specifier)}` };
}

function insteadOf(specifier: string): string {
  if (specifier === "@posthog/plugin-contrib") {
    return "its buffers and retries are what destinations do: let one send what has to be sent";
  }
  return "a script has no network: let a destination of its own send what has to be sent";
}

function libraryOf(name: string): string[] {
  const alias = aliasOf(name);
  return typeof alias === "string" ? [alias] : [];
}

function requiresOf(program: Program): { name: string; node: Node }[] {
  return [...nodesOf(program)].flatMap((node) => {
    if (node.type !== "CallExpression" || !isNamed(node.callee, "require")) return [];
    const [argument] = (node as unknown as CallExpression).arguments;
    const value = argument?.type === "Literal" ? argument.value : null;
    return [{ name: typeof value === "string" ? value : "", node }];
  });
}

function checkRequires(program: Program, note: Note): void {
  if (!isCommonJs(program)) return;
  for (const { name, node } of requiresOf(program)) {
    const alias = aliasOf(name);
    if (typeof alias === "string") continue;
    const problem = alias?.problem.replace("import", "require") ?? `cannot require ${JSON.stringify(name)}: ${ONLY}`;
    note(problem, node);
  }
}

const ONLY = "a plugin can require crypto, url and @posthog/plugin-scaffold, and import modules of the team";

function checkHooks(program: Program, note: Note): void {
  const found = new Map<string, Node>();
  for (const [name, { node }] of exportsOf(program)) found.set(name, node);
  for (const { name, node } of assignedExports(program)) found.set(name, node);
  let isRefused = false;
  for (const [name, node] of found) {
    if (!Object.hasOwn(POSTHOG_REFUSED_CALLS, name) && name !== "jobs") continue;
    isRefused = true;
    note(`cannot run ${name}: ${POSTHOG_REFUSED_CALLS[name] ?? TASK}`, node);
  }
  if (!isRefused && !found.has("processEvent") && !found.has("processEventBatch")) {
    note("exports neither processEvent nor processEventBatch: there is nothing to run on events", null);
  }
}

/** Uses of what `meta` has there and not here, wherever it is taken apart. */
function checkMeta(program: Program, note: Note): void {
  const names = new Set(["meta"]);
  const refuse = (name: string | null, node: Node) => {
    if (name !== null && Object.hasOwn(MISSING_META, name))
      note(`cannot use meta.${name}: ${MISSING_META[name]}`, node);
  };
  const takeApart = (pattern: Node | undefined) => {
    const bare = pattern?.type === "AssignmentPattern" ? (pattern as Parts).left : pattern;
    if ((bare as Node | undefined)?.type === "Identifier") names.add((bare as unknown as { name: string }).name);
    if ((bare as Node | undefined)?.type !== "ObjectPattern") return;
    for (const property of (bare as ObjectPattern).properties) refuse(keyOf(property as unknown as Parts), property);
  };
  for (const { name, node } of namedFunctions(program)) takeApart(metaParameter(name, node));
  for (const node of nodesOf(program)) {
    if (node.type === "MemberExpression" && isMeta(node.object, names)) refuse(memberName(node), node);
    if (node.type === "VariableDeclarator" && isMeta(node.init, names)) takeApart(node.id as Node);
  }
}

function isMeta(node: unknown, names: ReadonlySet<string>): boolean {
  const { type, name } = (node ?? {}) as { type?: string; name?: string };
  return type === "Identifier" && names.has(name as string);
}

function metaParameter(name: string, { params }: FunctionNode): Node | undefined {
  if (name === "setupPlugin" || name === "teardownPlugin") return params[0];
  return HOOKS.includes(name) ? params[1] : undefined;
}
