import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BundleUpload, Progress, RunResult } from "../shared/sandbox-api.ts";
import type { Bundle } from "../shared/snapshot.ts";
import { anEvent } from "../shared/testing/builders.ts";
import { compileBundle } from "../workers/transform/compile.ts";
import { projectRoot } from "./project.ts";
import { type Sandbox, startSandbox } from "./sandbox-process.ts";

const BUILD_TIMEOUT_MS = 60_000;
const CASE_TIMEOUT_MS = 30_000;
/** Backtracks for longer than anybody waits; no step of it is a step of the script. */
const HANGING = `export function transform(event) {
  /^(a+)+$/.test("a".repeat(60) + "b");
  return event;
}`;
const HANGING_ON_BAD = `export function transform(event) {
  if (event.event === "bad") /^(a+)+$/.test("a".repeat(60) + "b");
  return event;
}`;
const GROWING = `const hoard = [];
export function transform(event) {
  for (;;) hoard.push("x".repeat(100000).split(""));
}`;
const ENDLESS = `export function transform(event) {
  while (true) {}
}`;
const GOOD = `export function transform(event) {
  event.properties.seen = true;
  return event;
}`;

let dir: string;
let sandbox: Sandbox;
const log: Record<string, unknown>[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "headwater-sandbox-"));
  execFileSync(
    process.execPath,
    ["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "-e", "transform", "--outdir", dir],
    { cwd: projectRoot, env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "true" }, stdio: "pipe" },
  );
  sandbox = await start();
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  await sandbox?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function start(limits = {}, root = dir): Promise<Sandbox> {
  return startSandbox({
    worker: { main: "index.js", compatibilityDate: "2026-10-30", compatibilityFlags: [] },
    root,
    port: 0,
    log: (entry) => log.push(entry),
    limits,
  });
}

function bundleOf(team: string, ...codes: string[]): Promise<Bundle> {
  const scripts = codes.map((code, i) => ({ id: `script${i}`, code, on_error: "pass" as const, inputs: {} }));
  return compileBundle({ team, scripts, filters: {} });
}

async function put(to: Sandbox, bundle: Bundle): Promise<void> {
  const answer = await fetch(`http://${to.address}/bundles/${bundle.hash}`, {
    method: "PUT",
    body: JSON.stringify({ bundle, credentials: {} } satisfies BundleUpload),
  });
  expect(answer.status).toBe(204);
}

function run(to: Sandbox, bundle: Bundle, events: string[], query = ""): Promise<Response> {
  const lines = events.map((event) => JSON.stringify(anEvent({ event })));
  return fetch(`http://${to.address}/run/${bundle.hash}${query}`, { method: "POST", body: lines.join("\n") });
}

/** Everything that arrives until the connection ends or breaks. */
async function readUntilBroken(answer: Response): Promise<{ text: string; broken: boolean }> {
  let text = "";
  try {
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) text += chunk;
    return { text, broken: false };
  } catch {
    return { text, broken: true };
  }
}

async function restarted(of: Sandbox, before: number): Promise<void> {
  while (of.restarts() === before) await sleep(20);
  for (;;) {
    const answer = await fetch(`http://${of.address}/health`).catch(() => null);
    if (answer?.status === 200) return;
    await sleep(20);
  }
}

describe("the sandbox process", () => {
  it("runs a batch and answers where it listens", async () => {
    const bundle = await bundleOf("acme", GOOD);
    await put(sandbox, bundle);
    const [head, line] = (await (await run(sandbox, bundle, ["a"])).text()).split("\n") as [string, string];
    expect(JSON.parse(head)).toMatchObject({ sources: null, dropped: [], matches: {}, errors: [] } satisfies RunResult);
    expect(JSON.parse(line).properties.seen).toBe(true);
  });

  it("serves clients at once in turn, past one that leaves while it waits", async () => {
    const bundle = await bundleOf("acme", GOOD);
    await put(sandbox, bundle);
    const leaving = new AbortController();
    const lines = Array(500).fill(JSON.stringify(anEvent())).join("\n");
    const post = (signal?: AbortSignal) =>
      fetch(`http://${sandbox.address}/run/${bundle.hash}`, { method: "POST", body: lines, signal: signal ?? null });
    const first = [post(), post()];
    const gone = Promise.all([post(leaving.signal), post(leaving.signal)]).catch((error: Error) => error.name);
    const rest = Array.from({ length: 10 }, () => post());
    setTimeout(() => leaving.abort(), 5);
    const answers = await Promise.all([...first, ...rest].map(async (answer) => (await (await answer).text()).length));
    expect(new Set(answers).size).toBe(1);
    expect(await gone).toBe("AbortError");
  });

  it("outlives an endless loop, which fuel stops", async () => {
    const bundle = await bundleOf("endless", ENDLESS);
    await put(sandbox, bundle);
    const pid = sandbox.pid();
    const [head, ...lines] = (await (await run(sandbox, bundle, Array(500).fill("a"))).text()).split("\n");
    const { errors } = JSON.parse(head as string) as RunResult;
    expect(errors.reduce((sum, { count }) => sum + count, 0)).toBe(500);
    expect(errors[0]!.message).toMatch(
      /^ran out of fuel after \d+ steps: it loops for ever or does too much \(line 2\)$/,
    );
    expect(lines).toHaveLength(500);
    expect(sandbox.pid()).toBe(pid);
  });

  it(
    "is killed when a regular expression hangs it, and serves again on the same address without its bundles",
    async () => {
      const bundle = await bundleOf("hanging", HANGING);
      await put(sandbox, bundle);
      const { pid, restarts } = { pid: sandbox.pid(), restarts: sandbox.restarts() };
      const asked = Date.now();
      const answer = await run(sandbox, bundle, ["a"]);
      expect(answer.status).toBe(200);
      expect(Date.now() - asked).toBeLessThan(1_000);
      expect(await readUntilBroken(answer)).toEqual({ text: "", broken: true });
      await restarted(sandbox, restarts);
      expect(sandbox.pid()).not.toBe(pid);
      expect((await run(sandbox, bundle, ["a"])).status).toBe(404);
      expect(log).toContainEqual(expect.objectContaining({ message: "sandbox killed", pid }));
    },
    CASE_TIMEOUT_MS,
  );

  it(
    "gives headers to the batch that hangs it and none to the batch behind",
    async () => {
      const [culprit, innocent] = await Promise.all([bundleOf("hanging", HANGING), bundleOf("acme", GOOD)]);
      await Promise.all([put(sandbox, culprit), put(sandbox, innocent)]);
      const { restarts } = { restarts: sandbox.restarts() };
      const first = await run(sandbox, culprit, ["a"]);
      const behind = run(sandbox, innocent, ["a"]).then(
        () => "headers",
        () => "no headers",
      );
      expect((await readUntilBroken(first)).broken).toBe(true);
      expect(await behind).toBe("no headers");
      await restarted(sandbox, restarts);
    },
    CASE_TIMEOUT_MS,
  );

  it(
    "names event and script in careful mode before it dies of them",
    async () => {
      const bundle = await bundleOf("hanging", GOOD, HANGING_ON_BAD);
      await put(sandbox, bundle);
      const { restarts } = { restarts: sandbox.restarts() };
      const answer = await run(sandbox, bundle, ["a", "bad", "c"], "?careful=1");
      const { text, broken } = await readUntilBroken(answer);
      expect(broken).toBe(true);
      const progress = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Progress);
      expect(progress).toEqual([
        { event: 0, script: "script0" },
        { event: 0, script: "script1" },
        { event: 1, script: "script0" },
        { event: 1, script: "script1" },
      ]);
      await restarted(sandbox, restarts);
      await put(sandbox, bundle);
      const spared = await (await run(sandbox, bundle, ["a", "bad", "c"], "?fail=1:script1")).text();
      const [head, ...lines] = spared.split("\n");
      expect(JSON.parse(head as string)).toMatchObject({ sources: null, errors: [] });
      expect(lines.map((line) => JSON.parse(line).properties.$transformations_failed)).toEqual([
        undefined,
        ["script1"],
        undefined,
      ]);
    },
    CASE_TIMEOUT_MS,
  );

  it(
    "is killed when a script makes it grow past its limit",
    async () => {
      // A process that grows does not answer either: which is seen first depends on the machine.
      const patient = await start({ hangMs: 60_000, stuckMs: 60_000 });
      try {
        const bundle = await bundleOf("growing", GROWING);
        await put(patient, bundle);
        expect(await readUntilBroken(await run(patient, bundle, ["a"]))).toEqual({ text: "", broken: true });
        await restarted(patient, 0);
        const killed = { message: "sandbox killed", reason: expect.stringContaining("bytes of memory") };
        expect(log).toContainEqual(expect.objectContaining(killed));
      } finally {
        await patient.stop();
      }
    },
    CASE_TIMEOUT_MS,
  );

  it(
    "starts again when the memory bomb ends it before the limit does",
    async () => {
      const unlimited = await start({ rssBytes: 2 ** 40, hangMs: 60_000, stuckMs: 60_000 });
      try {
        const bundle = await bundleOf("growing", GROWING);
        await put(unlimited, bundle);
        expect(await readUntilBroken(await run(unlimited, bundle, ["a"]))).toEqual({ text: "", broken: true });
        await restarted(unlimited, 0);
        expect(log.at(-1)).toMatchObject({ message: "sandbox exited" });
      } finally {
        await unlimited.stop();
      }
    },
    CASE_TIMEOUT_MS,
  );

  it(
    "is tried again where it cannot be started again: the runtime ended of that, and left its core behind",
    async () => {
      const root = mkdtempSync(join(tmpdir(), "headwater-sandbox-"));
      cpSync(dir, root, { recursive: true });
      const moved = await start({ backoffMs: 50 }, root);
      try {
        renameSync(root, `${root}-away`);
        process.kill(moved.pid(), "SIGKILL");
        while (log.at(-1)?.message !== "sandbox cannot be started") await sleep(20);
        renameSync(`${root}-away`, root);
        await restarted(moved, 0);
      } finally {
        await moved.stop();
        rmSync(root, { recursive: true, force: true });
      }
    },
    CASE_TIMEOUT_MS,
  );

  it("reports why it cannot start", async () => {
    const port = Number(sandbox.address.split(":")[1]);
    const worker = { main: "index.js", compatibilityDate: "2026-10-30", compatibilityFlags: [] };
    const second = startSandbox({ worker, root: dir, port, log: () => undefined });
    await expect(second).rejects.toThrow(/the sandbox cannot start .*[Aa]ddress already in use/);
  });
});
