import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { setInterval } from "node:timers";
import { AppError, messageOf } from "../shared/errors.ts";
import { buildWorkers, keepBuild } from "./build.ts";
import { loadConfigFile, writeExampleConfig } from "./config-file.ts";
import { type Core, startCore } from "./core.ts";
import { DataFolder } from "./data-folder.ts";
import { egressOf } from "./egress.ts";
import { extraCertificates } from "./extra-certificates.ts";
import { checkGeoipFile } from "./geoip-file.ts";
import { readOptions, type StartOptions, USAGE } from "./options.ts";
import { claimPorts } from "./ports.ts";
import { printer } from "./printer.ts";
import { childrenNamed } from "./process-table.ts";
import { projectRoot } from "./project.ts";
import { startSandbox } from "./sandbox-process.ts";
import { StartError } from "./start-error.ts";

/** As on Cloudflare (wrangler.toml, crons): once a minute whatever is known to hold work is woken. */
const SWEEP_MS = 60_000;
/** While the core starts, which tells its pid to nobody. */
const REMEMBER_MS = 100;
/** The console answers within milliseconds; more means that the runtime came up broken. */
const APPLY_TIMEOUT_MS = 10_000;

/** Variables that hold an amount, by the unit in their names. */
const NUMERIC_VARIABLE = /_(MS|BYTES|EVENTS)$/;

interface Running {
  capture: string;
  console: string;
  sandboxPid: number;
  adminToken: string;
  stop(): Promise<void>;
}

async function start(options: StartOptions): Promise<Running> {
  const { print, log } = printer(options.json);
  const adminToken = adminTokenOf(options);
  const folder = new DataFolder(resolve(options.data));
  const config = resolve(options.config);
  const isFirst = !existsSync(config);
  if (isFirst && options.production) throw new StartError(`the configuration ${config} does not exist`);
  if (isFirst) writeExampleConfig(config);
  const document = await loadConfigFile(config, process.env);
  const geoip = options.geoip === null ? null : checkGeoipFile(options.geoip);
  await folder.claim();
  const [port, consolePort, sandboxPort] = (await claimPorts([
    { host: options.host, port: options.port, flag: "--port" },
    { host: options.host, port: options.consolePort, flag: "--console-port" },
    { host: "127.0.0.1", port: 0, flag: "--port" },
  ])) as [number, number, number];
  const workers = await buildWorkers();
  keepBuild(workers);
  const token = adminToken ?? folder.secret("admin-token", 24);

  let core: Core | undefined;
  // All that a killed runtime would leave behind: a core that outlives it goes on working on the same databases.
  const remember = () => {
    try {
      folder.remember(childrenNamed("workerd"));
    } catch (error) {
      // A full disk is no reason to end.
      log({ level: "error", message: `the processes of this runtime could not be noted: ${messageOf(error)}` });
    }
  };
  const sandbox = await startSandbox({
    worker: workers.transform,
    root: projectRoot,
    port: sandboxPort,
    log,
    onRestart: remember,
  });
  const remembering = setInterval(remember, REMEMBER_MS);
  core = await startCore({
    root: projectRoot,
    workers,
    host: options.host,
    port,
    consolePort,
    state: join(folder.path, "state"),
    sandbox: sandbox.address,
    sandboxPid: sandbox.pid,
    adminToken: token,
    secretKey: process.env.HEADWATER_SECRET_KEY ?? folder.secret("secret-key", 32),
    certificates: extraCertificates(process.env),
    egress: egressOf(options.production, options.allowPrivate),
    geoip,
    inspectorPort: options.inspectorPort,
    vars: workerVariables(process.env),
    print,
    onRestart: remember,
    // Whoever looks after this process can start it anew; alive and serving nothing it would be left alone.
    onLost: fail,
  }).finally(() => clearInterval(remembering));
  remember();
  const running: Running = {
    capture: urlOf(options.host, port),
    console: urlOf(options.host, consolePort),
    sandboxPid: sandbox.pid(),
    adminToken: token,
    stop: async () => {
      clearInterval(sweeping);
      await core?.stop();
      await sandbox.stop();
    },
  };
  const sweeping = setInterval(() => {
    keepBuild(workers);
    void core?.sweep();
  }, SWEEP_MS);
  try {
    await apply(running, document);
  } catch (error) {
    await running.stop();
    throw error;
  }
  // What an earlier run left undone goes on without new traffic.
  void core.sweep();
  if (isFirst) explain(running, config);
  return running;
}

function adminTokenOf(options: StartOptions): string | null {
  const token = process.env.HEADWATER_ADMIN_TOKEN;
  if (token !== undefined && token !== "") return token;
  if (options.production)
    throw new StartError("HEADWATER_ADMIN_TOKEN must be set: the admin API has no default password");
  return null;
}

/** HEADWATER_VAR_<NAME> sets the variable <NAME> of the workers: the limits that an operator may change. */
function workerVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  const prefix = "HEADWATER_VAR_";
  return Object.fromEntries(
    Object.entries(env)
      .filter(([name, value]) => name.startsWith(prefix) && value !== undefined)
      .map(([name, value]) => {
        // A limit that is no number would be no limit.
        if (NUMERIC_VARIABLE.test(name) && !/^\d+$/.test(value as string)) {
          throw new StartError(`${name} must be a whole number, not "${value}"`);
        }
        return [name.slice(prefix.length), value as string];
      }),
  );
}

function urlOf(host: string, port: number): string {
  const reachable =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}

async function apply(running: Running, document: unknown): Promise<void> {
  const response = await fetch(`${running.console}/api/config`, {
    method: "PUT",
    headers: { authorization: `Bearer ${running.adminToken}`, "content-type": "application/json" },
    body: JSON.stringify(document),
    signal: AbortSignal.timeout(APPLY_TIMEOUT_MS),
  });
  const answer = (await response.json()) as { detail?: string };
  if (!response.ok)
    throw new StartError(answer.detail ?? `the configuration was refused with status ${response.status}`);
}

/** For somebody who has just cloned the project: what to paste. */
function explain(running: Running, config: string): void {
  const event = '{"api_key":"phc_acme","event":"signup","distinct_id":"user-1","properties":{"plan":"pro"}}';
  // Not to stdout: its first line is the ready line.
  process.stderr.write(
    [
      `Wrote ${config}: one team, one token, one script, and a destination that prints here. Try it:`,
      "",
      `  curl -X POST ${running.capture}/i/v0/e -H 'content-type: application/json' -d '${event}'`,
      "",
    ].join("\n"),
  );
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) {
    process.stdout.write(USAGE);
    return;
  }
  const running = await start(options);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.once(signal, () => {
      running.stop().then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
    });
  }
  const { capture, console: api, sandboxPid, adminToken } = running;
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ready: true, capture, console: api, pid: process.pid, sandboxPid, adminToken })}\n`
      : `headwater ready capture=${capture} console=${api}\n`,
  );
}

function fail(error: unknown): never {
  const expected = error instanceof StartError || error instanceof AppError;
  // Expected: one line that says what to change. Anything else is a bug, and its stack is the report.
  const text = expected
    ? messageOf(error).replaceAll(/\s*\n\s*/g, " ")
    : error instanceof Error
      ? error.stack
      : String(error);
  process.stderr.write(`headwater: ${text}\n`);
  process.exit(1);
}

main().catch(fail);
