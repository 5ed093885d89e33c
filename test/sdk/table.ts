import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FILE = join(ROOT, "docs/sdks.md");
const [BEGIN, END] = ["<!-- written by test/sdk: begin -->", "<!-- written by test/sdk: end -->"];

const FEATURES = [
  "identify",
  "track",
  "page",
  "group",
  "alias",
  "odd values",
  "large event",
  "retry after 503",
  "lost answer, no duplicate",
  "clean console",
] as const;
export type Feature = (typeof FEATURES)[number];

/** What a test has seen; a word in place of true says why not. */
export type Seen = Partial<Record<Feature, true | string>>;

/** Puts the row of an SDK into the table of docs/sdks.md. Versions come from what is installed, so the text is stable. */
export function writeRow(packageName: string, way: string, seen: Seen): void {
  const { version } = JSON.parse(readFileSync(join(ROOT, "node_modules", packageName, "package.json"), "utf8")) as {
    version: string;
  };
  const cells = FEATURES.map((feature) => (seen[feature] === true ? "yes" : (seen[feature] ?? "")));
  const row = `| \`${packageName}\` ${version} | ${way} | ${cells.join(" | ")} |`;
  const text = readFileSync(FILE, "utf8");
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from === -1 || to < from) throw new Error(`${FILE} has lost the marks between which the table goes`);
  const others = text
    .slice(from + BEGIN.length, to)
    .split("\n")
    .filter(
      (line) => line.startsWith("| `") && !(line.startsWith(`| \`${packageName}\` `) && line.includes(` | ${way} | `)),
    );
  const head = [`| SDK | sent by | ${FEATURES.join(" | ")} |`, `|---|---|${"---|".repeat(FEATURES.length)}`];
  const table = [...head, ...[...others, row].sort()].join("\n");
  const next = `${text.slice(0, from)}${BEGIN}\n${table}\n${text.slice(to)}`;
  if (next !== text) writeFileSync(FILE, next);
}
