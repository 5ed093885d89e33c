// `npm run fuzz`: requests that nobody should send, 200,000 to the router and as many to the running product. `npm run fuzz -- 5000` sends
// fewer; FUZZ_SEED repeats what a run has printed.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { projectRoot } from "../runtime/project.ts";

const REQUESTS_COUNT = 200_000;
const count = String(Number(process.argv[2] ?? REQUESTS_COUNT));

function run(args: string[]): boolean {
  const vitest = join(projectRoot, "node_modules", "vitest", "vitest.mjs");
  const env = { ...process.env, FUZZ_RUNS: count, FUZZ_REQUESTS: count };
  return (
    spawnSync(process.execPath, [vitest, "run", ...args], { cwd: projectRoot, stdio: "inherit", env }).status === 0
  );
}

const results = [
  run(["--project", "node", "workers/capture/mutated-requests.test.ts"]),
  run(["--config", "test/e2e/vitest.config.ts", "test/e2e/fuzz.e2e.test.ts"]),
];
process.exit(results.every(Boolean) ? 0 : 1);
