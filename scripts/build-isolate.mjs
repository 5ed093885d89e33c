// Bundles what runs inside every isolate (workers/transform/isolate) into workers/transform/generated/isolate.ts, as text
// that the sandbox hands to the Worker Loader. Runs before anything that bundles the transform worker: it is that worker's
// build command in wrangler.toml, and a global setup of vitest.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "workers", "transform", "isolate");
const target = join(root, "workers", "transform", "generated", "isolate.ts");

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

async function bundled(entry) {
  const { outputFiles } = await build({
    entryPoints: [join(source, entry)],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:workers"],
    plugins: [outside],
  });
  return outputFiles[0].text;
}

/** Named as vitest calls a global set-up. */
export async function setup() {
  const harness = await bundled("harness.ts");
  const fuel = await bundled("fuel-tank.ts");
  const version = createHash("sha256").update(harness).update(fuel).digest("hex").slice(0, 8);
  const [, date] = /^compatibility_date = "(.+)"$/m.exec(readFileSync(join(root, "wrangler.toml"), "utf8"));
  const lines = [
    "// Made by scripts/build-isolate.mjs.",
    `export const HARNESS: string = ${JSON.stringify(harness)};`,
    `export const FUEL: string = ${JSON.stringify(fuel)};`,
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
