import { type ChildProcess, execFile, spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { BuiltWorker } from "./workers.ts";

/** The package exports the path of its program, and no types. */
const { default: workerd } = createRequire(import.meta.url)("workerd") as { default: string };
/** Linux counts CPU in these whatever the kernel's own tick is. */
const CLOCK_TICK_MS = 10;
const KIB_BYTES = 1024;
/** What a crash is reported with. */
const LAST_LINES_COUNT = 5;

export type Log = (entry: Record<string, unknown>) => void;

export interface SandboxProcessOptions {
  /** The built transform worker; the process's configuration is written beside it. */
  worker: SandboxWorker;
  /** The folder that `worker.main` starts from. */
  root: string;
  port: number;
  /** Gets the JSON lines that the worker writes. */
  log: Log;
}

export type SandboxWorker = Pick<BuiltWorker, "main" | "compatibilityDate" | "compatibilityFlags">;

export interface ProcessExit {
  /** Exit code or signal. */
  cause: string;
  /** The last lines of its standard error. */
  lastLines: string[];
}

export interface Usage {
  /** Null where the platform does not tell. */
  cpuMs: number | null;
  rssBytes: number | null;
}

/** One life of the sandbox: a workerd process that serves the transform worker on 127.0.0.1. */
export class SandboxProcess {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;

  /** Throws when the program cannot be started. */
  constructor({ worker, root, port, log }: SandboxProcessOptions) {
    const config = join(root, dirname(worker.main), `sandbox-${port}.capnp`);
    writeFileSync(config, configText(worker, port));
    // A process group of its own: whatever ends, ends together, and a terminal's Ctrl-C goes to the runtime alone.
    this.#child = spawn(workerd, ["serve", "--experimental", config], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (this.#child.pid === undefined) throw new Error(`${workerd} cannot be started: reinstall the dependencies`);
    this.pid = this.#child.pid;
    const lastLines: string[] = [];
    createInterface({ input: this.#child.stdout! }).on("line", (line) => log(entryOf(line)));
    createInterface({ input: this.#child.stderr! }).on("line", (line) => {
      if (lastLines.push(line) > LAST_LINES_COUNT) lastLines.shift();
    });
    const removeConfig = () => rmSync(config, { force: true });
    this.#child.on("exit", removeConfig);
    this.exited = new Promise((resolve) => {
      this.#child.on("error", (error) => resolve({ cause: error.message, lastLines }));
      this.#child.on("exit", (code, signal) => resolve({ cause: signal ?? `code ${code}`, lastLines }));
    });
  }

  kill(): void {
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch (error) {
      // Gone already.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  async usage(): Promise<Usage> {
    try {
      const [stat, status] = await Promise.all([
        readFile(`/proc/${this.pid}/stat`, "latin1"),
        readFile(`/proc/${this.pid}/status`, "latin1"),
      ]);
      return { cpuMs: cpuOf(stat), rssBytes: rssOf(status) };
    } catch {
      return { cpuMs: null, rssBytes: await rssFromPs(this.pid) };
    }
  }
}

function entryOf(line: string): Record<string, unknown> {
  try {
    const entry: unknown = JSON.parse(line);
    if (entry !== null && typeof entry === "object") return entry as Record<string, unknown>;
  } catch {
    // Not one of the worker's own lines.
  }
  return { level: "info", stage: "sandbox", message: line };
}

/** User and system time. The name before them may hold spaces, so fields are counted from its closing parenthesis. */
function cpuOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS;
}

function rssOf(status: string): number | null {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return kib === undefined ? null : Number(kib) * KIB_BYTES;
}

function rssFromPs(pid: number): Promise<number | null> {
  return new Promise((resolve) => {
    execFile("ps", ["-o", "rss=", "-p", String(pid)], (error, stdout) => {
      resolve(error === null && stdout.trim() !== "" ? Number(stdout) * KIB_BYTES : null);
    });
  });
}

/** No network at all: scripts are cut off in their isolates, the worker around them has no use for one either. */
function configText(worker: SandboxWorker, port: number): string {
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "transform", worker = .transform),
    (name = "nowhere", network = (allow = [])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "transform")],
);

const transform :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed ${JSON.stringify(basename(worker.main))})],
  compatibilityDate = ${JSON.stringify(worker.compatibilityDate)},
  compatibilityFlags = ${JSON.stringify(worker.compatibilityFlags)},
  bindings = [(name = "LOADER", workerLoader = (id = "bundles"))],
  globalOutbound = "nowhere",
);
`;
}
