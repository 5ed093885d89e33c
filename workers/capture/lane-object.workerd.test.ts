import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import type { LaneAppend } from "../../shared/lane-api.ts";
import type { OutboxApi } from "../../shared/outbox-api.ts";
import type { DestinationSnapshot } from "../../shared/snapshot.ts";
import { outboxStub } from "../../shared/stubs.ts";
import type { CaptureEnv } from "./env.ts";
import type { LaneObject } from "./lane-object.ts";

const { LANES, OUTBOXES, DB, SNAPSHOTS } = env as unknown as CaptureEnv & {
  LANES: DurableObjectNamespace<LaneObject>;
};

const laneOf = (team: string) => LANES.get(LANES.idFromName(`${team}:local:0`));
const outboxOf = (team: string): OutboxApi => outboxStub(OUTBOXES, team, "out");
const alarmOf = (stub: DurableObjectStub<LaneObject>) =>
  runInDurableObject(stub, (_, { storage }) => storage.getAlarm());

/** Ends the object in the middle of its work: an eviction in order would wait for a pump that waits. Its stubs break with it. */
const crash = (stub: DurableObjectStub<LaneObject>) =>
  runInDurableObject(stub, (_, state) => state.abort("crash")).catch(() => undefined);

/** Events with these numbers as uuids. */
function anAppend(team: string, numbers: number[], more: object = {}): LaneAppend {
  const uuids = new Uint8Array(numbers.length * 16);
  for (const [i, n] of numbers.entries()) new DataView(uuids.buffer).setUint32(i * 16, n);
  const lines = numbers.map((n) =>
    JSON.stringify({ uuid: `${n}`, event: "e", distinct_id: "u", properties: {}, ...more }),
  );
  return {
    lane: `${team}:local:0`,
    events: new TextEncoder().encode(lines.join("\n")),
    uuids,
    tokens: [[`phc_${team}`, numbers.length]],
  };
}

async function configure(team: string, others: DestinationSnapshot[] = []): Promise<void> {
  const destinations = [{ id: "out", kind: "terminal", settings: {} }, ...others];
  const snapshot = { team, version: 1, lanes: 1, tokens: [], bundle: null, destinations };
  await SNAPSHOTS.put(`team:${team}`, JSON.stringify(snapshot));
}

const delivered = (team: string) =>
  expect.poll(async () => (await outboxOf(team).status()).book, { timeout: 10_000, interval: 50 });

beforeAll(async () => {
  await DB.batch(
    [
      "CREATE TABLE IF NOT EXISTS lanes (lane TEXT PRIMARY KEY, team TEXT)",
      "CREATE TABLE IF NOT EXISTS outboxes (team TEXT, destination TEXT, PRIMARY KEY (team, destination))",
      "CREATE TABLE IF NOT EXISTS secrets (team TEXT, owner TEXT, field TEXT, sealed TEXT)",
      "CREATE TABLE IF NOT EXISTS teams (team TEXT PRIMARY KEY, version INTEGER)",
      "CREATE TABLE IF NOT EXISTS team_versions (team TEXT, version INTEGER, snapshot TEXT)",
    ].map((statement) => DB.prepare(statement)),
  );
});

test("events go from an append through the object's own SQLite to the outbox, and the sweep learns of it", async () => {
  await configure("whole");
  const lane = laneOf("whole");
  expect(await lane.append(anAppend("whole", [1, 2, 3]))).toEqual({ duplicates: 0 });
  expect(await lane.append(anAppend("whole", [4, 3]))).toEqual({ duplicates: 1 });
  await delivered("whole").toMatchObject({ accepted: 4, delivered: 4, pending: 0 });
  expect(await lane.status()).toMatchObject({
    nextSeq: 5,
    accepted: 4,
    duplicates: 1,
    backlog: 0,
    pending: { out: 0 },
  });
  const known = await DB.prepare("SELECT lane, team FROM lanes").all();
  expect(known.results).toContainEqual({ lane: "whole:local:0", team: "whole" });
});

test("what was accepted is on disk before the answer, and outlives the object (invariants 1 and 2)", async () => {
  await laneOf("late").append(anAppend("late", [1, 2]));
  await crash(laneOf("late"));
  expect(await laneOf("late").status()).toMatchObject({ lane: "late:local:0", team: "late", backlog: 2 });
  await laneOf("late").append(anAppend("late", [3]));
  await crash(laneOf("late"));
  expect(await laneOf("late").status()).toMatchObject({ nextSeq: 4, backlog: 3 });
});

test("an object that ended with work pending resumes by its alarm alone", async () => {
  await laneOf("alarmed").append(anAppend("alarmed", [1, 2]));
  await crash(laneOf("alarmed"));
  await configure("alarmed");
  expect(await runDurableObjectAlarm(laneOf("alarmed"))).toBe(true);
  await delivered("alarmed").toMatchObject({ accepted: 2, delivered: 2, pending: 0 });
});

test("an alarm that comes while the pump waits is followed by another one: none was left once it had fired", async () => {
  const lane = laneOf("waiting");
  await lane.append(anAppend("waiting", [1]));
  await expect.poll(async () => (await lane.status()).trouble).toContain("not in the configuration");
  expect(await runDurableObjectAlarm(lane)).toBe(true);
  expect(await alarmOf(lane)).toBeGreaterThan(Date.now());
  expect(await runDurableObjectAlarm(lane)).toBe(true);
  expect(await alarmOf(lane)).toBeGreaterThan(Date.now());
});

test("uuids are known over an eviction, and so are the positions: nothing is sent or numbered twice (invariants 2 and 7)", async () => {
  await configure("again");
  const lane = laneOf("again");
  await lane.append(anAppend("again", [1, 2, 3]));
  await delivered("again").toMatchObject({ delivered: 3 });
  await evictDurableObject(lane);
  expect(await lane.append(anAppend("again", [2, 3, 4]))).toEqual({ duplicates: 2 });
  await delivered("again").toMatchObject({ accepted: 4, delivered: 4, pending: 0 });
  // At rest the last position is written without new traffic.
  await expect.poll(() => runInDurableObject(lane, (_, { storage }) => cursorOf(storage)), { timeout: 5_000 }).toBe(4);
  await evictDurableObject(lane);
  expect(await lane.status()).toMatchObject({ nextSeq: 5, backlog: 0 });
  expect((await outboxOf("again").status()).lanes).toEqual({ "again:local:0": 4 });
});

test("new events go on at once while another destination is parked: they waited for its next try (invariant 4)", async () => {
  const settings = { url: "http://127.0.0.1:9/", backlog: { max_bytes: 1_000_000 } };
  await configure("parked", [{ id: "stuck", kind: "webhook", settings }]);
  const lane = laneOf("parked");
  // Two batches: the outbox takes the first one.
  await lane.append(anAppend("parked", [1, 2, 3, 4], { padding: "x".repeat(400_000) }));
  await expect.poll(async () => (await lane.status()).pending, { timeout: 4_000 }).toEqual({ out: 0, stuck: 2 });
  const startedAt = Date.now();
  for (let n = 5; n < 10; n++) {
    await lane.append(anAppend("parked", [n]));
    await delivered("parked").toMatchObject({ accepted: n, pending: 0 });
  }
  // An outbox that is full asks for two seconds.
  expect(Date.now() - startedAt).toBeLessThan(1_500);
});

test("what was accepted while no configuration could be read goes to its team once one can, and the sweep learns of it", async () => {
  const lane = LANES.get(LANES.idFromName("?phc_open:local:0"));
  // D1 has no table of tokens here, so nobody can say whose this is.
  await lane.append({ ...anAppend("open", [1, 2]), lane: "?phc_open:local:0" });
  await expect.poll(async () => (await lane.status()).trouble).toContain("cannot be read");
  await configure("open");
  await SNAPSHOTS.put("token:phc_open", JSON.stringify({ team: "open", lanes: 1, version: 1 }));
  await delivered("open").toMatchObject({ accepted: 2, delivered: 2, pending: 0 });
  expect(await lane.status()).toMatchObject({ team: "open", backlog: 0, trouble: null });
  await expect
    .poll(async () => (await DB.prepare("SELECT lane, team FROM lanes").all()).results, { timeout: 3_000 })
    .toContainEqual({ lane: "?phc_open:local:0", team: "open" });
});

test("the quarantine outlives the object, and what is released or discarded stays so (invariants 2, 5 and 7)", async () => {
  await configure("held");
  const uuid = "01890000-0000-7000-8000-000000000001";
  const marked = (n: number, more: object = {}) => anAppend("held", [n], { n, ...more, quarantine: "restriction 1" });
  const lane = () => laneOf("held");
  await lane().append(anAppend("held", [1]));
  await lane().append(marked(2, { uuid }));
  await lane().append(marked(3));
  await lane().append(marked(4));
  await expect.poll(async () => (await lane().status()).quarantined).toBe(3);
  await crash(lane());
  const page = await lane().quarantine({ script: "restriction", limit: 2 });
  expect(page).toMatchObject({ total: 3, next: 2, quarantined: [{ id: 1, message: "restriction 1" }, { id: 2 }] });
  expect(page.quarantined[0]?.event).toMatchObject({ uuid, n: 2, quarantine: "restriction 1" });

  expect(await lane().release({ ids: [1] })).toEqual({ released: 1 });
  await delivered("held").toMatchObject({ accepted: 2, delivered: 2, pending: 0 });
  expect(await lane().discard({ ids: [2] })).toEqual({ discarded: 1 });
  await crash(lane());
  expect(await lane().status()).toMatchObject({
    accepted: 4,
    nextSeq: 6,
    quarantined: 1,
    discarded: 1,
    pending: { out: 0 },
  });
  expect((await lane().quarantine({})).quarantined).toMatchObject([{ id: 3, event: { n: 4 } }]);
  // The log has the released event twice: as it was accepted, and as it was released, without the mark.
  const [newest, , , third] = await lane().samples(4);
  expect([newest, third]).toMatchObject([
    { uuid, n: 2 },
    { uuid, quarantine: "restriction 1" },
  ]);
  expect(newest).not.toHaveProperty("quarantine");
  await delivered("held").toMatchObject({ accepted: 2, delivered: 2 });
});

function cursorOf(storage: DurableObjectStorage): unknown {
  return storage.sql.exec("SELECT value FROM meta WHERE key = 'cursor'").toArray()[0]?.value;
}
