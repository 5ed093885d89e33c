import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf } from "../shared/errors.ts";
import { projectRoot } from "./project.ts";
import { type BuiltWorker, type BuiltWorkers, WORKERS, type WorkerName } from "./workers.ts";

/** What the bundles depend on. */
const INPUTS = [
  "workers",
  "shared",
  "scripts",
  "templates",
  "wrangler.toml",
  "package-lock.json",
  "runtime/build.ts",
  "runtime/workers.ts",
];

/** Builds that stay, newest first: a runtime that is still running reads its own again when its sandbox restarts. */
const KEPT_BUILDS_COUNT = 5;

/**
 * Builds the four workers with the bundler that `wrangler deploy` uses, into a folder of `dist/` named after what they are built from:
 * what is there already is used as it is, and two runtimes that build at once do not meet.
 * @returns what the local runtime needs to know of each
 */
export async function buildWorkers(root: string = projectRoot): Promise<BuiltWorkers> {
  const folder = join("dist", fingerprint(root));
  const manifest = join(root, folder, "workers.json");
  if (existsSync(manifest)) return JSON.parse(readFileSync(manifest, "utf8")) as BuiltWorkers;
  const unfinished = `${folder}.${process.pid}`;
  await Promise.all(WORKERS.map((name) => bundle(root, name, join(unfinished, name))));
  const { unstable_readConfig: readConfig } = await import("wrangler");
  const workers = Object.fromEntries(
    WORKERS.map((name) => [
      name,
      describe(name, folder, readConfig({ config: join(root, "wrangler.toml"), env: name })),
    ]),
  ) as BuiltWorkers;
  writeFileSync(join(root, unfinished, "workers.json"), JSON.stringify(workers, null, 2));
  try {
    renameSync(join(root, unfinished), join(root, folder));
  } catch (error) {
    // Somebody else was faster: theirs is the same.
    if (!existsSync(manifest)) throw error;
    rmSync(join(root, unfinished), { recursive: true });
  }
  removeOldBuilds(join(root, "dist"));
  return workers;
}

/** Called now and then while a runtime uses the build: later builds then leave it alone. */
export function keepBuild(workers: BuiltWorkers, root: string = projectRoot): void {
  const now = new Date();
  try {
    utimesSync(join(root, dirname(dirname(workers.transform.main))), now, now);
  } catch {
    // Gone, or not ours: what needs it says so.
  }
}

function removeOldBuilds(dist: string): void {
  const builds = readdirSync(dist).map((name) => ({ path: join(dist, name), at: statSync(join(dist, name)).mtimeMs }));
  builds.sort((a, b) => b.at - a.at);
  for (const { path } of builds.slice(KEPT_BUILDS_COUNT)) rmSync(path, { recursive: true, force: true });
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
  return hash.digest("hex").slice(0, 16);
}

function bundle(root: string, name: WorkerName, outdir: string): Promise<void> {
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

function describe(worker: WorkerName, folder: string, config: WranglerConfig): BuiltWorker {
  const name = config.name as string;
  return {
    name,
    main: join(folder, worker, "index.js"),
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
