import { spawnSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freshFolder, type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { Traffic } from "./traffic.ts";
import { sleep } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const DISK_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 4_096;

/** A disk of its own needs a mount namespace of its own, which not every machine gives to everybody. */
const probe = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", freshFolder()], { encoding: "utf8" });
const unavailable = probe.status === 0 ? null : `no private mount here: ${probe.error?.message ?? probe.stderr.trim()}`;

let sink: WebhookSink;
let headwater: Headwater;

beforeAll(async () => {
  if (unavailable !== null) return;
  sink = await startWebhookSink({ keep: "uuids" });
  const disk = freshFolder();
  const mount = `mount -t tmpfs -o size=${DISK_BYTES} tmpfs ${disk} && exec "$@"`;
  headwater = await startHeadwater({
    dataDir: join(disk, "data"),
    wrap: ["unshare", "-rm", "sh", "-c", mount, "headwater"],
    config: {
      teams: [{ id: "acme", tokens: ["phc_acme"], destinations: [{ id: "hook", kind: "webhook", url: sink.url }] }],
    },
  });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.stop();
});

/** Writes until nothing more fits; answers how to give the room back. */
function fillDisk(): () => void {
  // The disk is seen only from inside the namespace; the process's own root leads there.
  const ballast = join("/proc", `${headwater.pid}`, "root", headwater.dataDir, "ballast");
  const file = openSync(ballast, "w");
  try {
    for (const bytes of [1024 * PIECE_BYTES, PIECE_BYTES]) fillWith(file, Buffer.alloc(bytes));
  } finally {
    closeSync(file);
  }
  return () => rmSync(ballast);
}

function fillWith(file: number, piece: Buffer): void {
  try {
    for (;;) if (writeSync(file, piece) < piece.length) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}

it("invariant 1: a full disk is answered 503, never 200, and what was answered 200 arrives once there is room again", async (context) => {
  if (unavailable !== null) return context.skip(unavailable);
  const traffic = new Traffic(headwater, {
    token: "phc_acme",
    perSecond: 50,
    batch: 10,
    properties: { pad: "x".repeat(1_000) },
  });
  await traffic.during(2_000);
  expect(Object.keys(traffic.statuses)).toEqual(["200"]);

  const makeRoom = fillDisk();
  // What was open when the disk filled up may still have found room.
  await sleep(1_000);
  const full = new Traffic(headwater, {
    token: "phc_acme",
    perSecond: 50,
    batch: 100,
    properties: { pad: "x".repeat(10_000) },
  });
  await full.during(5_000);
  console.log(`answers on a full disk: ${JSON.stringify(full.statuses)}`);
  expect(Object.keys(full.statuses).filter((status) => status !== "200" && status !== "503")).toEqual([]);
  expect(full.statuses[503]).toBeGreaterThan(0);
  const refused = await headwater.send({ api_key: "phc_acme", batch: [{ event: "e", distinct_id: "u" }] });
  if (refused.status === 503) expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);

  makeRoom();
  const after = new Traffic(headwater, { token: "phc_acme", perSecond: 50, batch: 10 });
  await after.during(5_000);
  const last = await headwater.send({ api_key: "phc_acme", batch: [{ event: "e", distinct_id: "u" }] });
  expect(last.status).toBe(200);

  const books = await headwater.waitForQuiet("acme", ["hook"], {
    accepted: traffic.answered.size + after.answered.size,
  });
  const counts = sink.counts();
  for (const { answered } of [traffic, full, after]) {
    expect([...answered.keys()].filter((uuid) => !counts.has(uuid))).toEqual([]);
  }
  expect(imbalance(books.hook!)).toBe(0);
});
