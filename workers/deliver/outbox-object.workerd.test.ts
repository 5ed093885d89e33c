import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import type { OutboxAppend } from "../../shared/outbox-api.ts";
import { outboxName } from "../../shared/stubs.ts";
import { compileBundle } from "../transform/compile.ts";
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
    DB.prepare("CREATE TABLE IF NOT EXISTS secrets (team TEXT, owner TEXT, field TEXT, sealed TEXT)"),
  ]);
  await publish(null);
});

/** Puts the team's configuration into force: two destinations, of which "own" has a script. */
async function publish(code: string | null): Promise<void> {
  const destinations = ["out", "own"].map((id) => ({ id, kind: "terminal", settings: {} }));
  const script = {
    id: "destination:own",
    code: code ?? "",
    inputs: {},
    on_error: "dead_letter",
    destination: "own",
  } as const;
  const bundle =
    code === null ? null : await compileBundle({ team: "acme", scripts: [], shapers: [script], filters: {} });
  const snapshot = { team: "acme", version: 1, lanes: 1, tokens: [], bundle, destinations };
  await SNAPSHOTS.put("team:acme", JSON.stringify(snapshot));
}

let ids = 0;
/** Replays all dead letters of a destination. */
const replay = (destination: string) =>
  stubOf(destination).replay({ id: `r${++ids}`, from: "dead_letters", team: "acme", destination, selection: {} });

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

test("what a destination's script failed on is run through it again in the sandbox, once it is mended (invariant 5)", async () => {
  const stub = stubOf("own");
  const dead = [0, 1, 2].map((line) => ({ line, reason: "the destination's script failed: no" }));
  await stub.append({ ...anAppend("own", 0, 5), shaped: true, dead });
  await expect.poll(async () => (await stub.status()).book).toMatchObject({ delivered: 2, dead: 3, pending: 0 });

  await publish('export function transform() { throw new Error("still broken"); }');
  expect(await replay("own")).toMatchObject({ state: "done", replayed: 0 });
  const letters = (await stub.deadLetters({})).dead_letters;
  expect(letters.map(({ uuid, unshaped }) => [uuid, unshaped])).toEqual(["1", "2", "3"].map((uuid) => [uuid, true]));
  expect(letters[0]?.reason).toMatch(/^the destination's script failed: .*still broken/);

  // The first is sent twice, the second is dropped, the third fails once more.
  await publish(`export function transform(event) {
    if (event.uuid === "2") return null;
    if (event.uuid === "3") throw new Error("not yet");
    return [{ body: event.uuid }, { body: "again" }];
  }`);
  expect(await replay("own")).toMatchObject({ state: "done", replayed: 2 });
  await expect
    .poll(async () => (await stub.status()).book)
    .toMatchObject({ accepted: 6, delivered: 4, dropped: 1, dead: 1, pending: 0 });

  await publish(null);
  expect(await replay("own")).toMatchObject({ state: "done", replayed: 1 });
  await expect.poll(async () => (await stub.status()).book).toMatchObject({ delivered: 5, dead: 0, pending: 0 });
});

test("a script that does not load leaves its dead letters where they are, and the replay says so", async () => {
  const stub = stubOf("own");
  await stub.append({ ...anAppend("own", 5, 6), dead: [{ line: 0, reason: "the destination's script failed: no" }] });
  const snapshot = JSON.parse((await SNAPSHOTS.get("team:acme")) as string);
  snapshot.bundle = {
    ...{ hash: "0f", team: "acme", scripts: [], filters: {}, modules: {} },
    shapers: { own: { id: "destination:own", module: "gone.js", on_error: "dead_letter", inputs: {} } },
  };
  await SNAPSHOTS.put("team:acme", JSON.stringify(snapshot));
  expect(await replay("own")).toMatchObject({
    replayed: 0,
    problem: expect.stringContaining('the script of destination "own" could not be run'),
  });
  expect((await stub.status()).book).toMatchObject({ dead: 1, pending: 0 });
});
