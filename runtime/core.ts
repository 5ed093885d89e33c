import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Miniflare as MiniflareInstance, MiniflareOptions } from "miniflare";
import { messageOf } from "../shared/errors.ts";
import { Log, LogLevel, Miniflare } from "./closed-miniflare.ts";
import type { Egress } from "./egress.ts";
import type { GeoipFile } from "./geoip-file.ts";
import { childrenNamed, isAlive, processMark } from "./process-table.ts";
import { keepAlive } from "./revival.ts";
import type { BuiltWorker, BuiltWorkers } from "./workers.ts";

export interface CoreOptions {
  root: string;
  workers: BuiltWorkers;
  host: string;
  port: number;
  consolePort: number;
  /** Folder of the databases. */
  state: string;
  /** host:port of the sandbox process. */
  sandbox: string;
  /** Its pid, to tell it from this one's. */
  sandboxPid: () => number;
  /** Called after each start but the first: the process has another pid. */
  onRestart: () => void;
  adminToken: string;
  /** Called where the process has crashed and cannot be started any more. */
  onLost: (error: unknown) => void;
  /** 32 bytes, base64. */
  secretKey: string;
  /** Networks that destinations may be in. */
  egress: Egress;
  /** The database that places clients; null for none. */
  geoip: GeoipFile | null;
  /** PEM each; trusted in destinations beside those that browsers trust. */
  certificates: string[];
  /** Port on 127.0.0.1 for a debugger or profiler; null for none. */
  inspectorPort: number | null;
  /** Variables for the workers, beyond those of wrangler.toml. */
  vars: Record<string, string>;
  /** Takes what the workers print, a line at a time. */
  print: (line: string, level: string) => void;
}

/** The core process: capture, deliver and console in one workerd. */
export interface Core {
  pid(): number;
  /** Wakes every lane and outbox that holds work. */
  sweep(): Promise<void>;
  /** Stops accepting, lets requests under way finish, ends. */
  stop(): Promise<void>;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** In-flight requests get this long after SIGTERM; the outside contract gives 10 s for everything. */
const DRAIN_MS = 8_000;
/** How long an edge isolate believes its snapshot on one machine, where a read costs a millisecond. */
const LOCAL_SNAPSHOT_TTL_MS = 1_000;

export async function startCore(options: CoreOptions): Promise<Core> {
  let stopping = false;
  let core: Core | undefined;
  const own = Object.fromEntries(SIGNALS.map((signal) => [signal, process.listeners(signal)]));
  const all: MiniflareOptions = {
    ...instanceOptions(options),
    // The runtime comes back by itself after a crash; its objects resume only once somebody wakes them.
    unsafeHandleRuntimeRestart: async () => {
      options.onRestart();
      if (!stopping) await core?.sweep();
    },
    workers: [
      workerOptions(options, options.workers.capture, { port: options.port }),
      workerOptions(options, options.workers.deliver, {}),
      workerOptions(options, options.workers.console, { port: options.consolePort }),
    ],
  };
  const miniflare = new Miniflare(all);
  await miniflare.ready;
  // Miniflare exits on these signals at once, in the middle of requests; stopping in order is the runtime's.
  for (const signal of SIGNALS) {
    for (const listener of process.listeners(signal)) {
      if (!own[signal]?.includes(listener)) process.off(signal, listener);
    }
  }
  await migrateDatabase(miniflare, options);
  const pid = () => childrenNamed("workerd").find((child) => child !== options.sandboxPid()) ?? 0;
  core = {
    pid,
    sweep: async () => {
      for (const { name } of [options.workers.capture, options.workers.deliver]) {
        try {
          const worker = await miniflare.getWorker(name);
          await worker.scheduled({ cron: "* * * * *" });
        } catch (error) {
          options.print(
            JSON.stringify({ level: "error", message: `the sweep of ${name} failed: ${messageOf(error)}` }),
            "error",
          );
        }
      }
    },
    stop: async () => {
      stopping = true;
      const mark = processMark(pid());
      if (mark.pid !== 0) process.kill(mark.pid, "SIGTERM");
      for (const end = Date.now() + DRAIN_MS; isAlive(mark) && Date.now() < end; ) await sleep(20);
      await miniflare.dispose();
    },
  };
  const revival = {
    ready: () => miniflare.ready,
    start: () => miniflare.setOptions(all),
    onBack: () => {
      options.onRestart();
      void core?.sweep();
    },
    onLost: options.onLost,
    sleep,
    log: (record: { level: string }) => options.print(JSON.stringify({ ...record, stage: "core" }), record.level),
  };
  void keepAlive(revival, () => stopping);
  return core;
}

function instanceOptions(options: CoreOptions): Omit<MiniflareOptions, "workers"> {
  return {
    resourcePersistencePath: options.state,
    telemetry: { enabled: false },
    cf: false,
    enableDevRegistry: false,
    log: new Log(LogLevel.ERROR),
    ...(options.inspectorPort === null ? {} : { inspectorPort: options.inspectorPort }),
    handleStructuredLogs: ({ message, level }) => {
      for (const line of message.split("\n")) if (line !== "") options.print(line, level);
    },
  };
}

function workerOptions(
  options: CoreOptions,
  worker: BuiltWorker,
  socket: { port?: number },
): MiniflareOptions["workers"][number] {
  const main = join(options.root, worker.main);
  return {
    config: {
      name: worker.name,
      compatibilityDate: worker.compatibilityDate,
      compatibilityFlags: worker.compatibilityFlags,
      exports: Object.fromEntries(worker.objects.map((name) => [name, { type: "durable-object", storage: "sqlite" }])),
      env: bindings(options, worker),
      triggers: [],
      manifest: {
        mainModule: "index.js",
        modulesRoot: join(main, ".."),
        modules: { "index.js": { type: "esm", contents: readFileSync(main, "utf8") } },
      },
    },
    dev: {
      unsafeRegisterWorker: false,
      // Straight to the worker: the entry proxy in front of it costs a factor of four.
      ...(socket.port === undefined ? {} : { unsafeDirectSockets: [{ host: options.host, port: socket.port }] }),
    },
  };
}

type WorkerEnv = NonNullable<Extract<MiniflareOptions["workers"][number], { config: object }>["config"]["env"]>;

function bindings(options: CoreOptions, worker: BuiltWorker): WorkerEnv {
  const env: WorkerEnv = {
    EGRESS: {
      type: "network",
      ...options.egress,
      tlsOptions: { trustBrowserCas: true, trustedCertificates: options.certificates },
    },
    ADMIN_TOKEN: { type: "text", value: options.adminToken },
    SNAPSHOT_TTL_MS: { type: "text", value: String(LOCAL_SNAPSHOT_TTL_MS) },
  };
  // Opened in deliver only (invariant 8).
  if (worker === options.workers.deliver) env.SECRET_KEY = { type: "text", value: options.secretKey };
  for (const [name, value] of Object.entries({ ...worker.vars, ...options.vars })) env[name] = { type: "text", value };
  if (worker === options.workers.capture && options.geoip !== null) {
    env.GEOIP = { type: "disk", path: options.geoip.folder };
    env.GEOIP_FILE = { type: "json", value: { name: options.geoip.name } };
  }
  for (const object of worker.durableObjects) {
    env[object.binding] = { type: "durable-object", worker: object.worker, exportName: object.className };
  }
  for (const service of worker.services) {
    env[service.binding] =
      service.worker === options.workers.transform.name
        ? { type: "external", address: options.sandbox, http: {} }
        : {
            type: "worker",
            worker: service.worker,
            ...(service.entrypoint === null ? {} : { exportName: service.entrypoint }),
          };
  }
  for (const { binding, id } of worker.kv) env[binding] = { type: "kv", id };
  for (const { binding, id } of worker.d1) env[binding] = { type: "d1", id };
  return env;
}

/** Applies what is new in `migrations/`, noted in the table that `wrangler d1 migrations apply` uses. */
async function migrateDatabase(miniflare: MiniflareInstance, options: CoreOptions): Promise<void> {
  const db = await miniflare.getD1Database("DB", options.workers.console.name);
  await db
    .prepare(
      "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )
    .run();
  const { results } = await db.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  const folder = join(options.root, "migrations");
  for (const name of readdirSync(folder).sort()) {
    if (applied.has(name)) continue;
    const statements = readFileSync(join(folder, name), "utf8")
      .replaceAll(/^--.*$/gm, "")
      .split(";")
      .map((statement) => statement.trim())
      .filter((statement) => statement !== "");
    const insert = db.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name);
    await db.batch([...statements.map((statement) => db.prepare(statement)), insert]);
  }
}
