import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { alive, isWorkerd, processTree } from "./process-tree.ts";
import { Traffic } from "./traffic.ts";
import { sleep, until } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const SCRIPT = "export function transform(event) { event.properties.seen = true; return event; }";
const TRAFFIC = { token: "phc_acme", perSecond: 60, batch: 5 };
/** Miniflare and the supervisor need a second or two to bring a process back. */
const BACK_MS = 15_000;
/** A few starts, with the pauses between them. */
const KILLING_MS = 7_000;

let sink: WebhookSink;
let headwater: Headwater;
const answered = new Set<string>();

beforeAll(async () => {
  sink = await startWebhookSink({ keep: "uuids" });
  headwater = await startHeadwater({
    config: {
      teams: [
        {
          id: "acme",
          tokens: ["phc_acme"],
          transformations: [{ id: "mark", code: SCRIPT }],
          destinations: [{ id: "hook", kind: "webhook", url: sink.url, batch: { max_events: 50, max_wait_ms: 20 } }],
        },
      ],
    },
  });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.stop();
});

/** The sandbox is started with a configuration of its own, named after it. */
const isSandbox = (pid: number) =>
  spawnSync("ps", ["-o", "args=", "-p", `${pid}`], { encoding: "utf8" }).stdout.includes("sandbox-");

/** The pid of the process that serves now. */
function pidOf(name: "core" | "sandbox"): Promise<number> {
  const isIt = (pid: number) => isWorkerd(pid) && isSandbox(pid) === (name === "sandbox");
  const describe = () => `without a ${name} process`;
  return until(() => processTree(headwater.pid).find(isIt), { timeoutMs: BACK_MS, describe });
}

async function sendDuring(ms: number): Promise<Traffic> {
  const traffic = new Traffic(headwater, TRAFFIC);
  await traffic.during(ms);
  for (const uuid of traffic.answered.keys()) answered.add(uuid);
  return traffic;
}

/** Every event that was answered 200 so far arrives, with no new traffic, and the books balance. */
async function expectAllArrived(): Promise<void> {
  const missing = () => {
    const counts = sink.counts();
    return [...answered].filter((uuid) => !counts.has(uuid));
  };
  const describe = () => `without ${missing().length} of ${answered.size} events`;
  // Asked of the sink alone: the console may be down, and asking it could be what gets things going.
  await until(() => missing().length === 0, { timeoutMs: 60_000, describe });
  const books = await headwater.waitForQuiet("acme", ["hook"], { accepted: answered.size });
  expect(imbalance(books.hook!)).toBe(0);
}

it("a sandbox that somebody kills, again and again, costs no event, and its lone script stays in force (invariant 4)", async () => {
  for (let kill = 0; kill < 4; kill++) {
    const traffic = sendDuring(2_000);
    await sleep(500);
    process.kill(await pidOf("sandbox"), "SIGKILL");
    expect(Object.keys((await traffic).statuses)).toEqual(["200"]);
    await expectAllArrived();
  }
  const { transformations } = await headwater.api<{ transformations: object[] }>(
    "GET",
    "/api/teams/acme/transformations",
  );
  expect(transformations).toMatchObject([{ id: "mark", kills: 0, quarantined: false }]);
});

it("a core that somebody kills comes back, and delivers what it had with no new traffic (invariant 2)", async () => {
  sink.behave({ kind: "status", status: 503 });
  await sendDuring(1_000);
  const killed = await pidOf("core");
  process.kill(killed, "SIGKILL");
  sink.behave({ kind: "ok" });
  await expectAllArrived();
  expect(await pidOf("core")).not.toBe(killed);
  expect(Object.keys((await sendDuring(1_000)).statuses)).toEqual(["200"]);
  await expectAllArrived();
});

it("a core that is killed each time it starts comes back once it is let live", async () => {
  sink.behave({ kind: "status", status: 503 });
  await sendDuring(500);
  const killed = new Set<number>();
  for (const end = Date.now() + KILLING_MS; Date.now() < end; await sleep(5)) {
    const core = processTree(headwater.pid).find((pid) => isWorkerd(pid) && !isSandbox(pid) && !killed.has(pid));
    if (core === undefined) continue;
    process.kill(core, "SIGKILL");
    killed.add(core);
  }
  // Miniflare alone starts a crashed runtime once.
  expect(killed.size).toBeGreaterThan(2);
  sink.behave({ kind: "ok" });
  await expectAllArrived();
  expect(Object.keys((await sendDuring(1_000)).statuses)).toEqual(["200"]);
});

it("a runtime that is killed alone leaves processes behind, and the next one ends all of them, a restarted core too", async () => {
  sink.behave({ kind: "status", status: 503 });
  await sendDuring(500);
  const left = processTree(headwater.pid);
  const runtime = left.find((pid) => !isWorkerd(pid) && pid !== headwater.pid);
  process.kill(runtime!, "SIGKILL");
  await until(() => !alive(left).includes(headwater.pid), {
    timeoutMs: BACK_MS,
    describe: () => "running",
  });
  sink.behave({ kind: "ok" });
  await headwater.start();
  expect(alive(left)).toEqual([]);
  await expectAllArrived();
});
