/** Transformations of RudderStack: `transformEvent(event, metadata)`, `transformBatch(events, metadata)`. */
import type { Program } from "acorn";
import { exportsOf } from "../exports.ts";
import { freeIdentifiers } from "../free-identifiers.ts";
import { libraryModule } from "../library-names.ts";
import type { DialectKind, Frame, Wrapper } from "./dialect.ts";
import { isNamed, namedFunctions, nodesOf } from "./named-values.ts";

const LIBRARY = "headwater:compat-rudderstack";
/** What scripts there use without importing it. */
const PROVIDED = ["log", "getCredential", "geolocation"] as const;
const NETWORK = "a script has no network: let a destination of its own send what has to be sent";
const REFUSED_GLOBALS: Readonly<Record<string, string>> = { fetchV2: NETWORK };

export const RUDDERSTACK_IMPORTS: Readonly<Record<string, string>> = {
  "@rs/hash/v1": "headwater:hash",
  "@rs/userAgentParser/v1": "headwater:compat-user-agent",
};
const LISTED = Object.keys(RUDDERSTACK_IMPORTS).join(" and ");

export const rudderstack: DialectKind = {
  detect(exportNames, program) {
    const bound = new Set<string>();
    if (exportNames.includes("transformEvent")) return { name: "rudderstack", entry: "transform", bound };
    if (!exportNames.includes("transformBatch") || !isTheirs(program)) return null;
    return { name: "rudderstack", entry: "transformBatch", bound };
  },

  check(program, note) {
    const entries = [...namedFunctions(program)].filter(({ name }) => /^transform(Event|Batch)$/.test(name));
    const exported = exportsOf(program);
    if (exported.has("transformEvent") && exported.has("transformBatch")) {
      const batch = entries.find(({ name }) => name === "transformBatch");
      note(
        'exports both "transformEvent" and "transformBatch": export the one that is to be called',
        batch?.node ?? null,
      );
    }
    for (const { name, node } of freeIdentifiers(program)) {
      const instead = Object.hasOwn(REFUSED_GLOBALS, name) ? REFUSED_GLOBALS[name] : undefined;
      if (instead !== undefined) note(`cannot use ${name}: ${instead}`, node);
    }
  },

  alias(specifier) {
    if (Object.hasOwn(RUDDERSTACK_IMPORTS, specifier)) return RUDDERSTACK_IMPORTS[specifier] as string;
    if (!specifier.startsWith("@rs/")) return null;
    return {
      problem: `cannot import "${specifier}": of RudderStack's libraries there are ${LISTED}; put others into a module of the team`,
    };
  },

  frame(program): Frame {
    const free = new Set([...freeIdentifiers(program)].map(({ name }) => name));
    const used = PROVIDED.filter((name) => free.has(name));
    if (used.length === 0) return { before: "", after: "", libraries: [] };
    const after = `\n;import { ${used.join(", ")} } from "./${libraryModule(LIBRARY)}";\n`;
    return { before: "", after, libraries: [LIBRARY] };
  },

  wrap({ entry }, authored): Wrapper {
    const code = `import * as script from "./${authored}";
import { Transformation } from "./${libraryModule(LIBRARY)}";
const transformation = new Transformation(script);
export const asynchronous = true;
export const ${entry} = (given, context) => transformation.${entry}(given, context);
`;
    return { code, libraries: [LIBRARY] };
  },
};

/** Whether a `transformBatch` is RudderStack's: Headwater's has the same name and gets a context instead of a function. */
function isTheirs(program: Program): boolean {
  for (const { name } of freeIdentifiers(program)) if ((PROVIDED as readonly string[]).includes(name)) return true;
  for (const { name, node } of namedFunctions(program)) {
    if (name !== "transformBatch") continue;
    const [, second] = node.params;
    if (second?.type !== "Identifier") continue;
    if (second.name === "metadata") return true;
    for (const part of nodesOf(node as unknown as Program)) {
      if (part.type === "CallExpression" && isNamed(part.callee, second.name)) return true;
    }
  }
  return false;
}
