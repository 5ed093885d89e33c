// `npm test`: unit and workerd tests, then the product from outside. With arguments: only the first, passed on to vitest.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { projectRoot } from "../runtime/project.ts";

const vitest = join(projectRoot, "node_modules", "vitest", "vitest.mjs");
// Where CI collects the counts; unset elsewhere.
const reports = process.env.HEADWATER_TEST_REPORTS;

function run(name: string, args: string[]): boolean {
  const reporters =
    reports === undefined
      ? []
      : ["--reporter=default", "--reporter=json", `--outputFile.json=${join(reports, `${name}.json`)}`];
  const { status } = spawnSync(process.execPath, [vitest, "run", ...reporters, ...args], {
    cwd: projectRoot,
    stdio: "inherit",
    env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: "false", WRANGLER_SEND_METRICS: "false" },
  });
  return status === 0;
}

// The program that runs inside the isolates is an input of the workers and of their tests.
const { status } = spawnSync(process.execPath, [join(projectRoot, "scripts", "build-isolate.mjs")], {
  stdio: "inherit",
});
const args = process.argv.slice(2);
const results = [status === 0, run("unit", args)];
if (args.length === 0) results.push(run("e2e", ["--config", "test/e2e/vitest.config.ts"]));
process.exit(results.every(Boolean) ? 0 : 1);
