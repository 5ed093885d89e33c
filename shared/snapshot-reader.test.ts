import { expect, test } from "vitest";
import type { TeamSnapshot } from "./snapshot.ts";
import { createSnapshotReader } from "./snapshot-reader.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { memoryKv } from "./testing/memory-kv.ts";
import { nodeD1 } from "./testing/node-d1.ts";

const TEAM: TeamSnapshot = { team: "acme", version: 1, lanes: 2, tokens: ["phc_acme"], bundle: null, destinations: [] };
const TOKEN = { team: "acme", lanes: 2, version: 1 };

function setUp(options: { tokenCapacity?: number } = {}) {
  const clock = new FakeClock();
  const kv = memoryKv();
  const db = nodeD1();
  const reader = createSnapshotReader({ kv, db, clock, ttlMs: 30_000, missTtlMs: 5_000, ...options });
  return { clock, kv, db, reader };
}

async function intoD1(db: D1Database, snapshot: TeamSnapshot) {
  await db.batch([
    db.prepare("INSERT OR REPLACE INTO teams VALUES (?, ?)").bind(snapshot.team, snapshot.version),
    db
      .prepare("INSERT INTO team_versions VALUES (?, ?, '', '{}', ?)")
      .bind(snapshot.team, snapshot.version, JSON.stringify(snapshot)),
    ...snapshot.tokens.map((token) =>
      db.prepare("INSERT OR IGNORE INTO tokens VALUES (?, ?)").bind(token, snapshot.team),
    ),
  ]);
}

test("KV answers without a question to D1", async () => {
  const { kv, db, reader } = setUp();
  kv.entries.set("token:phc_acme", JSON.stringify(TOKEN));
  kv.entries.set("team:acme", JSON.stringify(TEAM));
  expect(await reader.token("phc_acme")).toEqual(TOKEN);
  expect(await reader.team("acme")).toEqual(TEAM);
  expect(db.statements).toEqual([]);
});

test("a miss in KV asks D1 before it becomes null", async () => {
  const { db, reader } = setUp();
  await intoD1(db, TEAM);
  expect(await reader.token("phc_acme")).toEqual(TOKEN);
  expect(await reader.team("acme")).toEqual(TEAM);
  expect(await reader.token("phc_other")).toBeNull();
  expect(await reader.team("other")).toBeNull();
});

test("D1 answers with the version in force, not with the newest row", async () => {
  const { db, reader } = setUp();
  await intoD1(db, { ...TEAM, version: 2, lanes: 4 });
  await intoD1(db, TEAM);
  expect(await reader.token("phc_acme")).toEqual(TOKEN);
});

test("a known token is read again after its time, an unknown one much sooner", async () => {
  const { clock, kv, db, reader } = setUp();
  kv.entries.set("token:phc_acme", JSON.stringify(TOKEN));
  await reader.token("phc_acme");
  await reader.token("phc_new");
  clock.advance(4_999);
  await reader.token("phc_new");
  expect(kv.calls).toEqual(["get token:phc_acme", "get token:phc_new"]);
  clock.advance(1);
  await intoD1(db, { ...TEAM, tokens: ["phc_new"] });
  expect(await reader.token("phc_new")).toEqual(TOKEN);
  clock.advance(24_999);
  await reader.token("phc_acme");
  expect(kv.calls).toHaveLength(3);
  clock.advance(1);
  await reader.token("phc_acme");
  expect(kv.calls).toHaveLength(4);
});

test("broken KV falls back to D1", async () => {
  const { kv, db, reader } = setUp();
  kv.failWith("kv is away");
  await intoD1(db, TEAM);
  expect(await reader.token("phc_acme")).toEqual(TOKEN);
});

test("an entry of KV that is not JSON falls back to D1", async () => {
  const { kv, db, reader } = setUp();
  kv.entries.set("team:acme", "{");
  await intoD1(db, TEAM);
  expect(await reader.team("acme")).toEqual(TEAM);
});

test("in an outage the last known value is served, and nothing is asked again for a moment", async () => {
  const { clock, kv, db, reader } = setUp();
  kv.entries.set("token:phc_acme", JSON.stringify(TOKEN));
  await reader.token("phc_acme");
  kv.failWith("kv is away");
  db.failWith("d1 is away");
  clock.advance(30_000);
  expect(await reader.token("phc_acme")).toEqual(TOKEN);
  const asked = kv.calls.length;
  clock.advance(4_999);
  expect(await reader.token("phc_acme")).toEqual(TOKEN);
  expect(kv.calls).toHaveLength(asked);
});

test("in an outage a token that was never seen, or was unknown, is an error and not null", async () => {
  const { clock, kv, db, reader } = setUp();
  expect(await reader.token("phc_unknown")).toBeNull();
  kv.failWith("kv is away");
  db.failWith("d1 is away");
  clock.advance(5_000);
  const error = { code: "configuration_unavailable", status: 503, message: expect.stringContaining("d1 is away") };
  await expect(reader.token("phc_unknown")).rejects.toMatchObject(error);
  await expect(reader.token("phc_never")).rejects.toMatchObject(error);
});

test("after forget() D1 is asked first, because KV may still have the old version", async () => {
  const { clock, kv, db, reader } = setUp();
  kv.entries.set("team:acme", JSON.stringify(TEAM));
  await reader.team("acme");
  await intoD1(db, { ...TEAM, version: 2 });
  expect((await reader.team("acme"))?.version).toBe(1);
  reader.forget();
  expect((await reader.team("acme"))?.version).toBe(2);
  kv.entries.set("team:acme", JSON.stringify({ ...TEAM, version: 2 }));
  clock.advance(60_000);
  const statements = db.statements.length;
  expect((await reader.team("acme"))?.version).toBe(2);
  expect(db.statements).toHaveLength(statements);
});

test("after forget() the last known value still serves in an outage", async () => {
  const { kv, db, reader } = setUp();
  kv.entries.set("team:acme", JSON.stringify(TEAM));
  await reader.team("acme");
  reader.forget();
  kv.failWith("kv is away");
  db.failWith("d1 is away");
  expect(await reader.team("acme")).toEqual(TEAM);
});

test("a flood of made-up tokens pushes out none that exists", async () => {
  const { kv, reader } = setUp({ tokenCapacity: 3 });
  kv.entries.set("token:phc_acme", JSON.stringify(TOKEN));
  await reader.token("phc_acme");
  for (let i = 0; i < 100; i++) await reader.token(`phc_made_up_${i}`);
  kv.calls.length = 0;
  await reader.token("phc_acme");
  await reader.token("phc_made_up_99");
  expect(kv.calls).toEqual([]);
  await reader.token("phc_made_up_0");
  expect(kv.calls).toEqual(["get token:phc_made_up_0"]);
});
