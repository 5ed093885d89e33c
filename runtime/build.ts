import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf } from "../shared/errors.ts";
import { projectRoot } from "./project.ts";
import { type BuiltWorker, type BuiltWorkers, WORKERS, type WorkerName } from "./workers.ts";

/** What the bundles depend on. */
const INPUTS = [
  "workers",
  "shared",
  "scripts",
  "wrangler.toml",
  "package-lock.json",
  "runtime/build.ts",
  "runtime/workers.ts",
];

/**
 * Builds the four workers into `dist/` with the bundler that `wrangler deploy` uses, unless nothing has changed since.
 * @returns what the local runtime needs to know of each
 */
export async function buildWorkers(root: string = projectRoot): Promise<BuiltWorkers> {
  const manifest = join(root, "dist", "workers.json");
  const inputs = fingerprint(root);
  if (existsSync(manifest)) {
    const built = JSON.parse(readFileSync(manifest, "utf8")) as { inputs: string; workers: BuiltWorkers };
    if (built.inputs === inputs) return built.workers;
  }
  rmSync(manifest, { force: true });
  await Promise.all(WORKERS.map((name) => bundle(root, name)));
  const { unstable_readConfig: readConfig } = await import("wrangler");
  const workers = Object.fromEntries(
    WORKERS.map((name) => [name, describe(root, readConfig({ config: join(root, "wrangler.toml"), env: name }))]),
  ) as BuiltWorkers;
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(manifest, JSON.stringify({ inputs, workers }, null, 2));
  return workers;
}

function fingerprint(root: string): string {
  const hash = createHash("sha256");
  const add = (path: string): void => {
    const full = join(root, path);
    const entries = readdirSync(full, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name === "generated" || entry.name.endsWith(".test.ts")) continue;
      if (entry.isDirectory()) add(join(path, entry.name));
      else hash.update(join(path, entry.name)).update(readFileSync(join(full, entry.name)));
    }
  };
  for (const input of INPUTS) {
    if (input.includes(".")) hash.update(input).update(readFileSync(join(root, input)));
    else add(input);
  }
  return hash.digest("hex");
}

function bundle(root: string, name: WorkerName): Promise<void> {
  const outdir = join("dist", name);
  rmSync(join(root, outdir), { recursive: true, force: true });
  const args = ["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "-e", name, "--outdir", outdir];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", FORCE_COLOR: "0", CI: "true" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  child.stderr.on("data", (data) => {
    output += data;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`the ${name} worker does not build:\n${output}`));
    });
  });
}

type WranglerConfig = import("wrangler").Unstable_Config;

function describe(root: string, config: WranglerConfig): BuiltWorker {
  const name = config.name as string;
  const environment = WORKERS.find((worker) => name.endsWith(worker)) as WorkerName;
  return {
    name,
    main: relative(root, join(root, "dist", environment, "index.js")),
    compatibilityDate: config.compatibility_date as string,
    compatibilityFlags: config.compatibility_flags,
    durableObjects: config.durable_objects.bindings.map((object) => ({
      binding: object.name,
      className: object.class_name,
      worker: object.script_name ?? name,
    })),
    services: (config.services ?? []).map((service) => ({
      binding: service.binding,
      worker: service.service,
      entrypoint: service.entrypoint ?? null,
    })),
    kv: config.kv_namespaces.map(({ binding, id }) => ({ binding, id: id as string })),
    d1: config.d1_databases.map(({ binding, database_id }) => ({ binding, id: database_id as string })),
    vars: config.vars as Record<string, string>,
    objects: config.migrations.flatMap((migration) => migration.new_sqlite_classes ?? []),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    await buildWorkers();
  } catch (error) {
    process.stderr.write(`headwater: ${messageOf(error)}\n`);
    process.exit(1);
  }
}
