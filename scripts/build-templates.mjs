// Puts templates/ into workers/console/generated/templates.ts, since a worker has no files. Runs before anything that bundles the
// console worker: it is that worker's build command in wrangler.toml, and a global setup of vitest.
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "templates", "transformations");
const target = join(root, "workers", "console", "generated", "templates.ts");

/** Named as vitest calls a global set-up. */
export function setup() {
  const templates = readdirSync(source)
    .sort()
    .map((id) => {
      const read = (name) => readFileSync(join(source, id, name), "utf8");
      return {
        id,
        ...JSON.parse(read("template.json")),
        code: read("script.ts"),
        example: JSON.parse(read("example.events.json")),
      };
    });
  mkdirSync(dirname(target), { recursive: true });
  // Moved into place whole: several builds may run at once.
  const unfinished = `${target}.${process.pid}`;
  const lines = [
    "// Made by scripts/build-templates.mjs.",
    'import type { Template } from "../template.ts";',
    "",
    `export const TEMPLATES: readonly Template[] = ${JSON.stringify(templates, null, 2)};`,
  ];
  writeFileSync(unfinished, `${lines.join("\n")}\n`);
  renameSync(unfinished, target);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup();
