import { existsSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { ConfigDocument } from "../../shared/config.ts";
import { parseConfig } from "../../shared/config.ts";
import { AppError, messageOf } from "../../shared/errors.ts";
import { preview } from "../../workers/console/preview.ts";
import { destinationKinds } from "../../workers/deliver/destinations/registry.ts";
import { buildWorkers } from "../build.ts";
import { loadConfigFile } from "../config-file.ts";
import { projectRoot } from "../project.ts";
import { type Sandbox, startSandbox } from "../sandbox-process.ts";
import { CliError } from "./cli-error.ts";
import { EVENTS_SUFFIX, type Fixture, json, parseFixture } from "./fixture.ts";
import { compileTeam, onlyScript, teamOf } from "./team-bundle.ts";
import { differences, outcomeOf, type TestOutcome } from "./test-outcome.ts";

export const TEST_USAGE = `usage: headwater test [options] [FILE or FOLDER ...]

Runs the scripts of a configuration on fixtures: <name>.events.json holds events, <name>.expected.json what must become of
them. They run in the same sandbox as in the pipeline; nothing is delivered. Without a path: all fixtures below the
configuration's folder.

  --config FILE   the configuration                              HEADWATER_CONFIG   headwater.json
  --update        write what became of the events as what is expected
  --watch         run again whenever a file changes
  --json          one JSON object a fixture, on a line of its own
  --help          this text

exit code: 0 all pass, 1 a fixture fails, 2 nothing could be run
`;

interface TestOptions {
  config: string;
  paths: string[];
  update: boolean;
  watch: boolean;
  json: boolean;
}

/** Where a run writes to. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

interface Result {
  fixture: string;
  passed: boolean;
  /** What differs, or why it could not be run. */
  problems: string[];
}

/** As shells have it. */
const INTERRUPTED = 130;
/** Editors save in several steps. */
const SETTLE_MS = 100;
/** A test report is read by people: what else differs follows from the first of it. */
const SHOWN_DIFFERENCES_COUNT = 20;

/** @returns the exit code; with --watch never, unless it cannot begin */
export async function testCommand(args: string[], env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  const options = readTestOptions(args, env);
  if (options === null) {
    output.out(TEST_USAGE);
    return 0;
  }
  const { transform } = await buildWorkers();
  const log = (record: Record<string, unknown>) => output.err(`${JSON.stringify(record)}\n`);
  const sandbox = await startSandbox({ worker: transform, root: projectRoot, port: 0, log });
  // The sandbox would outlive it.
  const interruption = new Promise<number>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(INTERRUPTED));
  });
  try {
    const run = () => runAll(options, env, sandbox, output);
    return await Promise.race([options.watch ? watchForever(options, run, output) : run(), interruption]);
  } finally {
    await sandbox.stop();
  }
}

function readTestOptions(args: string[], env: NodeJS.ProcessEnv): TestOptions | null {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: "string" },
        update: { type: "boolean", default: false },
        watch: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return null;
    const config = resolve(values.config ?? env.HEADWATER_CONFIG ?? "headwater.json");
    const { update, watch, json } = values;
    return { config, paths: positionals.map((path) => resolve(path)), update, watch, json };
  } catch (error) {
    throw new CliError(`${(error as Error).message.split("\n")[0]} (see headwater test --help)`);
  }
}

/** Runs every fixture once. A problem with the configuration is one of all of them: exit code 2. */
async function runAll(options: TestOptions, env: NodeJS.ProcessEnv, sandbox: Sandbox, output: Output): Promise<number> {
  try {
    const document = parseConfig(loadConfigFile(options.config, withoutSecrets(env)), destinationKinds);
    const paths = fixturePaths(options);
    if (paths.length === 0) throw new CliError(`there is no fixture (*${EVENTS_SUFFIX}) to run`);
    const results: Result[] = [];
    for (const path of paths) {
      const result = await runOne(path, document, options, sandbox);
      report(result, options, output);
      results.push(result);
    }
    const failed = results.filter(({ passed }) => !passed).length;
    if (!options.json) output.out(`${results.length - failed} passed, ${failed} failed\n`);
    return failed === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof CliError || error instanceof AppError)) throw error;
    output.err(`headwater test: ${messageOf(error)}\n`);
    return 2;
  }
}

/** Scripts are tested where the secrets of destinations are not: a variable that is not set stands for itself. */
function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return new Proxy(env, { get: (target, name) => Reflect.get(target, name) ?? `unset-${String(name)}` });
}

function fixturePaths({ paths, config }: TestOptions): string[] {
  const roots = paths.length > 0 ? paths : [dirname(config)];
  const found = roots.flatMap((root) => {
    if (!existsSync(root)) throw new CliError(`${root} does not exist`);
    return statSync(root).isDirectory() ? fixturesBelow(root) : [root];
  });
  return [...new Set(found)].sort();
}

const NOT_SEARCHED = new Set(["node_modules", ".git", "dist"]);

function fixturesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return NOT_SEARCHED.has(entry.name) || entry.name.startsWith(".") ? [] : fixturesBelow(path);
    return entry.name.endsWith(EVENTS_SUFFIX) ? [path] : [];
  });
}

async function runOne(path: string, document: ConfigDocument, options: TestOptions, sandbox: Sandbox): Promise<Result> {
  const name = relative(process.cwd(), path);
  try {
    const fixture = parseFixture(path, readFileSync(path, "utf8"));
    const outcome = await run(fixture, document, sandbox);
    if (options.update) {
      writeFileSync(fixture.expectedPath, `${JSON.stringify(outcome, null, 2)}\n`);
      return { fixture: relative(process.cwd(), fixture.expectedPath), passed: true, problems: [] };
    }
    if (!existsSync(fixture.expectedPath)) {
      const message = `${relative(process.cwd(), fixture.expectedPath)} does not exist: --update writes it`;
      return { fixture: name, passed: false, problems: [message] };
    }
    const expected = json(fixture.expectedPath, readFileSync(fixture.expectedPath, "utf8"));
    const problems = differences(expected, outcome).map(
      ({ path: at, before, after }) => `${at}: expected ${shown(before)}, got ${shown(after)}`,
    );
    return { fixture: name, passed: problems.length === 0, problems };
  } catch (error) {
    if (!(error instanceof CliError || error instanceof AppError)) throw error;
    return { fixture: name, passed: false, problems: [messageOf(error)] };
  }
}

async function run(fixture: Fixture, document: ConfigDocument, sandbox: Sandbox): Promise<TestOutcome> {
  const whole = teamOf(document, fixture.team);
  const team = fixture.transformation === undefined ? whole : onlyScript(whole, fixture.transformation);
  const { bundle, destinations } = await compileTeam(team);
  if (bundle === null) return { events: fixture.events };
  const special = destinations
    .map(({ id }) => id)
    .filter((id) => Object.hasOwn(bundle.filters, id) || Object.hasOwn(bundle.shapers ?? {}, id));
  const deps = {
    sandbox: {
      fetch: ((input: string, init?: RequestInit) =>
        fetch(input.replace("http://sandbox", `http://${sandbox.address}`), init)) as typeof fetch,
    },
    open: async (plain: string) => plain,
  };
  const outcome = await preview(deps, bundle, fixture.events, special);
  if (outcome.outcome === "previewed") return outcomeOf(outcome.preview, special);
  const what =
    outcome.outcome === "broken"
      ? "the scripts do not load"
      : "the sandbox died: a script does not end or takes all memory";
  throw new CliError(`${what} (${outcome.message})`);
}

function shown(value: unknown): string {
  return value === null || value === undefined ? "nothing" : JSON.stringify(value);
}

function report({ fixture, passed, problems }: Result, { json: asJson, update }: TestOptions, output: Output): void {
  if (asJson) {
    output.out(`${JSON.stringify({ fixture, passed, problems })}\n`);
    return;
  }
  output.out(`${passed ? (update ? "wrote" : "ok   ") : "FAIL "} ${fixture}\n`);
  for (const problem of problems.slice(0, SHOWN_DIFFERENCES_COUNT)) output.out(`      ${problem}\n`);
  const more = problems.length - SHOWN_DIFFERENCES_COUNT;
  if (more > 0) output.out(`      and ${more} more\n`);
}

/** Runs at once, and after every change, also one that comes while it runs. Never resolves; ends with the process. */
async function watchForever(options: TestOptions, run: () => Promise<unknown>, output: Output): Promise<never> {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();
  const changed = (_: unknown, name: string | null) => {
    // What a run writes is no reason for another one.
    if (name !== null && options.update && name.endsWith(".expected.json")) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      running = running.then(() => {
        output.out("\n");
        return run();
      });
    }, SETTLE_MS);
  };
  watch(dirname(options.config), { recursive: true, persistent: false }, changed);
  running = run().then(() => output.out("watching for changes\n"));
  return new Promise<never>((_, reject) => running.catch(reject));
}
