// Runs a TypeScript entry with the project's own Node (the `node` dev dependency), after installing what is
// missing. It is plain JavaScript without dependencies because it must start on Node 20 in a fresh clone.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
// npm writes this file at the end of every install: a copy of the lock file that it installed.
const installed = join(root, "node_modules", ".package-lock.json");

function lockedVersions(path) {
  const { packages } = JSON.parse(readFileSync(path, "utf8"));
  return packages;
}

/** Whether every package of the lock file that this platform needs is installed in its locked version. */
function isInstalled() {
  if (!existsSync(node) || !existsSync(installed)) return false;
  const have = lockedVersions(installed);
  const want = lockedVersions(join(root, "package-lock.json"));
  return Object.entries(want).every(
    ([path, entry]) => path === "" || entry.optional || have[path]?.version === entry.version,
  );
}

/** npm's own output goes to stderr: the first line on stdout is the ready line. */
function npm(...args) {
  const options = { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" };
  return spawnSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], options).status === 0;
}

if (!isInstalled()) {
  process.stderr.write("headwater: installing dependencies, once\n");
  // The second is for registries that lack one of the lock file's optional packages.
  if (!npm("ci") && !npm("install", "--no-save")) {
    process.stderr.write("headwater: the dependencies cannot be installed; the lines above say why\n");
    process.exit(1);
  }
}

const [entry, ...args] = process.argv.slice(2);
const child = spawn(node, [join(root, entry), ...args], {
  stdio: "inherit",
  env: { ...process.env, PATH: `${dirname(node)}${process.platform === "win32" ? ";" : ":"}${process.env.PATH}` },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => {
  // A child that a signal ended is reported as a shell would report it.
  process.exit(code ?? 128 + (signal === "SIGKILL" ? 9 : 15));
});
