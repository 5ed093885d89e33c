import { get } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { messageOf } from "../shared/errors.ts";
import {
  type Action,
  DEFAULT_SUPERVISOR_LIMITS,
  initialState,
  type Observation,
  type SupervisorLimits,
  type SupervisorState,
  supervise,
} from "./supervisor.ts";
import { type Log, SandboxProcess, type SandboxWorker } from "./workerd-process.ts";

/** Often enough that a memory bomb of 1.5 GB a second is caught before the machine feels it. */
const TICK_MS = 50;
/** A hang is noticed this much later at most. */
const PROBE_EVERY_MS = 150;

export interface SandboxOptions {
  /** The built transform worker. */
  worker: SandboxWorker;
  /** The folder that `worker.main` starts from. */
  root: string;
  /** Kept for as long as this sandbox lives; 0 picks a free one. */
  port: number;
  log: Log;
  /** Called after each start but the first: the process has another pid. */
  onRestart?: () => void;
  limits?: Partial<SupervisorLimits>;
}

export interface Sandbox {
  /** host:port; it stays over restarts. */
  address: string;
  /** Of the process that serves now, or served last. */
  pid(): number;
  /** Starts after the first. */
  restarts(): number;
  stop(): Promise<void>;
}

/** Starts the sandbox process and keeps it running. Rejects when its first start fails, with what the process said. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const port = options.port === 0 ? await freePort() : options.port;
  const supervisor = new Supervisor({ ...options, port });
  await supervisor.start();
  return {
    address: `127.0.0.1:${port}`,
    pid: () => supervisor.pid,
    restarts: () => supervisor.restarts,
    stop: () => supervisor.stop(),
  };
}

/** Observes the process and does what `supervise` says. */
class Supervisor {
  readonly #options: SandboxOptions;
  readonly #limits: SupervisorLimits;
  readonly #ready = Promise.withResolvers<void>();
  #state: SupervisorState = initialState(Date.now());
  #process: SandboxProcess | null = null;
  #starts = 0;
  #timer: NodeJS.Timeout | undefined;
  #probedAt = 0;
  #everHealthy = false;
  #stopped = false;

  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_SUPERVISOR_LIMITS, ...options.limits };
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get restarts(): number {
    return this.#starts - 1;
  }

  start(): Promise<void> {
    this.#tick();
    return this.#ready.promise;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#process?.kill();
    await this.#process?.exited;
  }

  #see(seen: Observation): void {
    const { state, action } = supervise(this.#state, seen, Date.now(), this.#limits);
    this.#state = state;
    if (action !== null && !this.#stopped) this.#act(action);
  }

  #act(action: Action): void {
    if (action.kind === "kill") {
      this.#log("warn", "sandbox killed", { reason: action.reason });
      this.#process?.kill();
      return;
    }
    const started = this.#spawn();
    if (started === null) return;
    this.#process = started;
    this.#starts++;
    this.#see({ kind: "started" });
    if (this.#starts > 1) this.#options.onRestart?.();
    started.exited.then(({ cause, lastLines }) => {
      if (this.#stopped) return;
      if (!this.#everHealthy) {
        this.#fail(new Error(`the sandbox cannot start (${cause}): ${lastLines.join(" ")}`));
        return;
      }
      this.#log("warn", "sandbox exited", { pid: started.pid, cause, lastLines });
      this.#see({ kind: "exited" });
    });
  }

  /** Null where it cannot even be started: the disk is full, say. It counts as one that ended at once, and is tried again ever later. */
  #spawn(): SandboxProcess | null {
    try {
      return new SandboxProcess(this.#options);
    } catch (error) {
      if (!this.#everHealthy) throw error;
      this.#log("error", "sandbox cannot be started", { error: messageOf(error) });
      this.#see({ kind: "started" });
      this.#see({ kind: "exited" });
      return null;
    }
  }

  #tick(): void {
    this.#observe()
      .catch((error) => this.#fail(error))
      .finally(() => {
        if (!this.#stopped) this.#timer = setTimeout(() => this.#tick(), TICK_MS);
      });
  }

  async #observe(): Promise<void> {
    const observed = this.#process;
    const usage = (await observed?.usage()) ?? { cpuMs: null, rssBytes: null };
    // It may have been replaced while its usage was read.
    if (observed !== this.#process || this.#stopped) return;
    this.#see({ kind: "sampled", ...usage });
    const isRunning = this.#state.phase === "running" && this.#process === observed && observed !== null;
    if (!isRunning || this.#state.phase !== "running" || this.#state.asked !== null) return;
    if (Date.now() - this.#probedAt >= PROBE_EVERY_MS) this.#probe(observed, usage.cpuMs);
  }

  #probe(probed: SandboxProcess, cpuMs: number | null): void {
    this.#probedAt = Date.now();
    this.#see({ kind: "asked", cpuMs });
    const settle = (kind: "answered" | "unreachable") => {
      if (this.#process !== probed || this.#stopped) return;
      this.#see({ kind });
      if (kind === "answered" && !this.#everHealthy) {
        this.#everHealthy = true;
        this.#ready.resolve();
      }
    };
    const request = get({ host: "127.0.0.1", port: this.#options.port, path: "/health", agent: false }, (response) => {
      response.resume();
      settle(response.statusCode === 200 ? "answered" : "unreachable");
    });
    request.on("error", () => settle("unreachable"));
  }

  #fail(error: Error): void {
    if (!this.#everHealthy) {
      this.#stopped = true;
      this.#process?.kill();
      this.#ready.reject(error);
      return;
    }
    this.#log("error", "sandbox cannot be observed", { error: error.message });
  }

  #log(level: string, message: string, facts: Record<string, unknown>): void {
    this.#options.log({ level, stage: "sandbox", message, pid: this.pid, restarts: this.restarts, ...facts });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
