import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { outboxName } from "../../shared/stubs.ts";
import type { DeliverEnv } from "./env.ts";
import type { OutboxObject } from "./outbox-object.ts";

const { OUTBOXES, DB, SNAPSHOTS } = env as unknown as DeliverEnv & { OUTBOXES: DurableObjectNamespace<OutboxObject> };

const stubOf = (destination: string) => OUTBOXES.get(OUTBOXES.idFromName(outboxName("acme", destination)));

function anAppend(destination: string, after: number, through: number): OutboxAppend {
  const lines = Array.from(
    { length: through - after },
    (_, i) => `{"uuid":"${after + i + 1}","event":"e","distinct_id":"u"}`,
  );
  return {
    ...{ team: "acme", destination, lane: "acme:0", after, through, seqs: null, tokens: [["phc", lines.length]] },
    ...{ events: new TextEncoder().encode(lines.join("\n")), dropped: [], filtered: [], expired: [] },
  };
}

beforeAll(async () => {
  await DB.batch([
    DB.prepare("CREATE TABLE IF NOT EXISTS outboxes (team TEXT, destination TEXT, PRIMARY KEY (team, destination))"),
    DB.prepare("CREATE TABLE IF NOT EXISTS secrets (team TEXT, destination TEXT, field TEXT, sealed TEXT)"),
  ]);
  const destinations = [{ id: "out", kind: "terminal", settings: {} }];
  const snapshot = { team: "acme", version: 1, lanes: 1, tokens: [], bundle: null, destinations };
  await SNAPSHOTS.put("team:acme", JSON.stringify(snapshot));
});

test("events go from an append through the object's own SQLite to the destination, and the sweep learns of it", async () => {
  const stub = stubOf("out");
  expect(await stub.append(anAppend("out", 0, 150))).toEqual({ status: "stored", through: 150 });
  expect(await stub.append(anAppend("out", 100, 160))).toEqual({ status: "stored", through: 160 });
  await expect
    .poll(async () => (await stub.status()).book)
    .toMatchObject({ accepted: 160, delivered: 160, pending: 0 });
  const known = await DB.prepare("SELECT team, destination FROM outboxes").all();
  expect(known.results).toContainEqual({ team: "acme", destination: "out" });
});

test("what is pending survives the object, and an alarm is on its way to it (invariant 2)", async () => {
  const stub = stubOf("gone");
  await stub.append(anAppend("gone", 0, 3));
  await evictDurableObject(stub);
  expect(await stub.status()).toMatchObject({
    book: { accepted: 3, pending: 3 },
    lanes: { "acme:0": 3 },
  });
  expect(await runInDurableObject(stub, (_, { storage }) => storage.getAlarm())).toBeGreaterThan(Date.now());
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect((await stub.status()).disabled).toContain("is not in the configuration");
  expect(await runInDurableObject(stub, (_, { storage }) => storage.getAlarm())).toBeGreaterThan(Date.now());
});
