// Bundles what runs inside every isolate (workers/transform/isolate), and the libraries that scripts may import
// (workers/transform/modules, and compat/isolate for the wrappers of other dialects), into workers/transform/generated/isolate.ts,
// as text that the sandbox hands to the Worker Loader. Runs before anything that bundles the transform worker: it is that worker's
// build command in wrangler.toml, and a global setup of vitest.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const transform = join(root, "workers", "transform");
const target = join(transform, "generated", "isolate.ts");

/** Folders of libraries, and what their names begin with: one file, one library. */
const LIBRARY_FOLDERS = [
  { folder: join(transform, "modules"), prefix: "headwater:" },
  { folder: join(transform, "compat", "isolate"), prefix: "headwater:compat-" },
];

// Modules that the isolate holds once, under names of its own.
const outside = {
  name: "outside",
  setup({ onResolve }) {
    onResolve({ filter: /^headwater:bundle$/ }, () => ({ path: "./bundle.json", external: true }));
    onResolve({ filter: /\/fuel-tank\.ts$/ }, ({ kind }) =>
      kind === "entry-point" ? undefined : { path: "./fuel.js", external: true },
    );
  },
};

async function bundled(entry, options = {}) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:workers"],
    plugins: [outside],
    ...options,
  });
  return outputFiles[0].text;
}

/** Name → text. Small, because a worker holds all of them. */
async function libraries() {
  const files = LIBRARY_FOLDERS.flatMap(({ folder, prefix }) =>
    (existsSync(folder) ? readdirSync(folder) : [])
      .filter((file) => /^[a-z0-9-]+\.ts$/.test(file))
      .map((file) => ({ name: prefix + basename(file, ".ts"), path: join(folder, file) })),
  );
  const minify = { minify: true, legalComments: "none" };
  const built = files.map(async ({ name, path }) => [name, await bundled(path, minify)]);
  return Object.fromEntries((await Promise.all(built)).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Named as vitest calls a global set-up. */
export async function setup() {
  const harness = await bundled(join(transform, "isolate", "harness.ts"));
  const fuel = await bundled(join(transform, "isolate", "fuel-tank.ts"));
  const texts = JSON.stringify(await libraries());
  const version = createHash("sha256").update(harness).update(fuel).update(texts).digest("hex").slice(0, 8);
  const [, date] = /^compatibility_date = "(.+)"$/m.exec(readFileSync(join(root, "wrangler.toml"), "utf8"));
  const lines = [
    "// Made by scripts/build-isolate.mjs.",
    `export const HARNESS: string = ${JSON.stringify(harness)};`,
    `export const FUEL: string = ${JSON.stringify(fuel)};`,
    `export const LIBRARY_TEXTS: Readonly<Record<string, string>> = ${texts};`,
    `export const ISOLATE_VERSION: string = ${JSON.stringify(version)};`,
    `export const COMPATIBILITY_DATE: string = ${JSON.stringify(date)};`,
  ];
  mkdirSync(dirname(target), { recursive: true });
  // Moved into place whole: several builds may run at once.
  const unfinished = `${target}.${process.pid}`;
  writeFileSync(unfinished, `${lines.join("\n")}\n`);
  renameSync(unfinished, target);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await setup();
