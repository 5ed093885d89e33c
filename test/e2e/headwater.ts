import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Book, DeadLetterPage } from "../../shared/outbox-api.ts";
import { alive, isWorkerd, memory, processTree, resetPeak, signal } from "./process-tree.ts";
import { until } from "./wait.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** The first start of a checkout builds the workers and may install. */
const READY_TIMEOUT_MS = 120_000;
/** The contract gives SIGTERM ten seconds; the rest tells "late" from "never". */
const STOP_TIMEOUT_MS = 20_000;
const GONE_TIMEOUT_MS = 10_000;
const STDERR_TAIL_BYTES = 8_000;

export interface HeadwaterOptions {
  /** The document of headwater.json; null starts without one. */
  config: unknown;
  /** A fresh one unless given. */
  dataDir?: string;
  env?: Record<string, string>;
  /** Flags behind those of the rig. */
  args?: string[];
  /** Words before the command line, such as `["prlimit", "--fsize=1000000"]`. */
  wrap?: string[];
  cwd?: string;
  /** Gets whatever it prints; what is kept in `output` is the end only. */
  onOutput?: (text: string) => void;
  port?: number;
  consolePort?: number;
}

interface Ready {
  capture: string;
  console: string;
  pid: number;
  sandboxPid: number;
  adminToken: string;
}

/** What a run that never became ready left behind. */
export interface FailedStart {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts the product as `npm start` does, and resolves at its ready line. Throws with the end of its stderr. */
export async function startHeadwater(options: HeadwaterOptions): Promise<Headwater> {
  const dataDir = options.dataDir ?? join(freshFolder(), "data");
  const headwater = new Headwater({ ...options, dataDir });
  await headwater.start();
  return headwater;
}

/** Starts the product where it is expected to give up; throws if it does not end. */
export async function startExpectingFailure(options: HeadwaterOptions): Promise<FailedStart> {
  const child = spawnHeadwater({ ...options, dataDir: options.dataDir ?? join(freshFolder(), "data") });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk) => (stdout += chunk));
  child.stderr?.on("data", (chunk) => (stderr += chunk));
  const timer = setTimeout(() => killAll(processTree(child.pid!)), READY_TIMEOUT_MS);
  await once(child, "close");
  clearTimeout(timer);
  return { code: child.exitCode, stdout, stderr };
}

export function freshFolder(): string {
  return mkdtempSync(join(tmpdir(), "headwater-e2e-"));
}

function spawnHeadwater(options: HeadwaterOptions & { dataDir: string }): ChildProcess {
  const args = [
    ...["--port", `${options.port ?? 0}`, "--console-port", `${options.consolePort ?? 0}`],
    ...["--data", options.dataDir, "--json"],
  ];
  if (options.config !== null) args.push("--config", writeConfig(options.config));
  const command = [
    process.execPath,
    join(ROOT, "scripts/with-node.mjs"),
    "runtime/start.ts",
    ...args,
    ...(options.args ?? []),
  ];
  const [program = "", ...rest] = [...(options.wrap ?? []), ...command];
  return spawn(program, rest, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    // A group of its own, so that a signal to the test does not reach it half-way.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** A text goes into the file as it is, for configurations that are broken on purpose. */
function writeConfig(config: unknown): string {
  const file = join(freshFolder(), "headwater.json");
  writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config, null, 2));
  return file;
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) signal(pid, "SIGKILL");
}

/** Resolves when none of the processes is left, nor any that they started meanwhile. */
async function gone(root: number, tree: readonly number[]): Promise<void> {
  const left = () => alive([...tree, ...processTree(root)]);
  await until(() => left().length === 0, {
    timeoutMs: GONE_TIMEOUT_MS,
    everyMs: 10,
    describe: () => `alive: ${left().join(", ")}`,
  });
}

/** A running Headwater: the product as a stranger starts it. */
export class Headwater {
  readonly dataDir: string;
  /** Everything that it printed since the last start. */
  output = "";
  #options: HeadwaterOptions & { dataDir: string };
  #child: ChildProcess | undefined;
  #ready: Ready | undefined;
  /** workerd processes at the ready line, less the sandbox: that one may come and go. */
  #core: number[] = [];

  constructor(options: HeadwaterOptions & { dataDir: string }) {
    this.#options = options;
    this.dataDir = options.dataDir;
    // No test leaves a server behind, even one that throws.
    process.once("exit", () => {
      if (this.#child?.pid !== undefined) killAll(processTree(this.#child.pid));
    });
  }

  get capture(): string {
    return this.#running().capture;
  }
  get console(): string {
    return this.#running().console;
  }
  get adminToken(): string {
    return this.#running().adminToken;
  }
  get sandboxPid(): number {
    return this.#running().sandboxPid;
  }

  /** Of the outermost process. */
  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error("headwater was never started");
    return this.#child.pid;
  }

  async start(): Promise<void> {
    const child = spawnHeadwater(this.#options);
    this.#child = child;
    this.output = "";
    const lines = createInterface({ input: child.stdout! });
    child.stderr?.on("data", (chunk) => {
      this.#options.onOutput?.(`${chunk}`);
      this.output = `${this.output}${chunk}`.slice(-STDERR_TAIL_BYTES);
    });
    this.#ready = await new Promise<Ready>((resolve, reject) => {
      const fail = (what: string) => {
        clearTimeout(timer);
        reject(new Error(`headwater ${what} before it was ready:\n${this.output}`));
      };
      const timer = setTimeout(() => {
        killAll(processTree(child.pid!));
        fail(`took more than ${READY_TIMEOUT_MS} ms`);
      }, READY_TIMEOUT_MS);
      child.once("error", (error) => fail(`failed with ${error.message}`));
      child.once("close", (code, name) => fail(`ended with ${code ?? name}`));
      lines.on("line", (line) => {
        this.output = `${this.output}${line}\n`.slice(-STDERR_TAIL_BYTES);
        const ready = line.startsWith('{"ready":true') ? (JSON.parse(line) as Ready) : null;
        if (ready === null) return;
        clearTimeout(timer);
        resolve(ready);
      });
    });
    const sandbox = new Set(processTree(this.sandboxPid));
    this.#core = processTree(this.pid).filter((pid) => isWorkerd(pid) && !sandbox.has(pid));
  }

  /** Starts again after a kill or a stop: same data, same ports. */
  async restart(): Promise<void> {
    const { port } = new URL(this.capture);
    this.#options = { ...this.#options, port: Number(port), consolePort: Number(new URL(this.console).port) };
    await this.start();
  }

  /** SIGKILL for every process of it at once; resolves when none is left. Answers the moment of the kill, ms since the epoch. */
  async killTree(): Promise<number> {
    const tree = processTree(this.pid);
    const at = Date.now();
    // The group first: nothing in it can start anything any more while the rest is killed one by one.
    signal(-this.pid, "SIGKILL");
    killAll(tree);
    await gone(this.pid, tree);
    return at;
  }

  /** SIGTERM; resolves with the exit code once every process of it is gone. */
  async stop(): Promise<{ code: number | null; tookMs: number }> {
    const child = this.#child!;
    const tree = processTree(this.pid);
    const started = Date.now();
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, "exit");
      signal(this.pid, "SIGTERM");
      const timer = setTimeout(() => killAll(tree), STOP_TIMEOUT_MS);
      await exit;
      clearTimeout(timer);
    }
    const tookMs = Date.now() - started;
    await gone(this.pid, tree);
    return { code: child.exitCode, tookMs };
  }

  /** Memory of the core workerd process and of the sandbox's. */
  rss(): Record<"core" | "sandbox", { residentBytes: number; peakBytes: number }> {
    const sum = (pids: number[]) => {
      const all = pids.map(memory);
      const total = (field: "residentBytes" | "peakBytes") => all.reduce((bytes, one) => bytes + one[field], 0);
      return { residentBytes: total("residentBytes"), peakBytes: total("peakBytes") };
    };
    const workerds = processTree(this.pid).filter(isWorkerd);
    const isCore = (pid: number) => this.#core.includes(pid);
    return { core: sum(workerds.filter(isCore)), sandbox: sum(workerds.filter((pid) => !isCore(pid))) };
  }

  /** From here on the core's peak is a new one. Linux only. */
  resetPeak(): void {
    for (const pid of this.#core) resetPeak(pid);
  }

  /** A call of the admin API; the parsed answer. Throws unless it is 2xx. */
  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(new URL(path, this.console), {
      method,
      headers: { authorization: `Bearer ${this.adminToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
  }

  async flow(team: string): Promise<Record<string, Book>> {
    return (await this.api<{ destinations: Record<string, Book> }>("GET", `/api/teams/${team}/flow`)).destinations;
  }

  deadLetters(team: string, destination: string): Promise<DeadLetterPage> {
    return this.api("GET", `/api/teams/${team}/dead-letters?destination=${destination}`);
  }

  /** Polls the books until `accepted` events are in and none is pending at these destinations; answers the books. */
  async waitForQuiet(
    team: string,
    destinations: string[],
    { accepted = 1, timeoutMs = 120_000 }: { accepted?: number; timeoutMs?: number } = {},
  ): Promise<Record<string, Book>> {
    let books: Record<string, Book> = {};
    const quiet = (id: string) => books[id] !== undefined && books[id].accepted >= accepted && books[id].pending === 0;
    return until(
      async () => {
        books = await this.flow(team);
        return destinations.every(quiet) ? books : null;
      },
      { timeoutMs, everyMs: 250, describe: () => `waiting for ${accepted} events: ${JSON.stringify(books)}` },
    );
  }

  /** Sends one body to `/batch/`. */
  send(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(new URL("/batch/", this.capture), {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }

  #running(): Ready {
    if (this.#ready === undefined) throw new Error("headwater was never ready");
    return this.#ready;
  }
}

/** What accepted less everything that became of it leaves: nothing, when the books balance. */
export const imbalance = (book: Book): number =>
  book.accepted - book.delivered - book.filtered - book.dropped - book.dead - book.expired - book.pending;
