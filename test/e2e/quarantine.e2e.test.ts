import { afterAll, beforeAll, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { anHttpSink, type HttpSink } from "../../workers/deliver/testing/http-sink.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";

let sink: HttpSink;
let headwater: Headwater;

const BROKEN = "export function transform(event) { return { ...event, event: event.properties.plan.name }; }";
const MENDED =
  "export function transform(event) { return { ...event, event: event.properties.plan?.name ?? 'none' }; }";

const configOf = (code: string) => ({
  teams: [
    {
      id: "acme",
      tokens: ["phc_acme"],
      restrictions: [{ action: "dead_letter", distinct_ids: ["suspect"] }],
      transformations: [{ id: "plan", code, on_error: "quarantine", credentials: { key: "key-of-the-script" } }],
      destinations: [{ id: "hook", kind: "webhook", url: sink.url, batch: { max_wait_ms: 50 } }],
    },
  ],
});

beforeAll(async () => {
  sink = await anHttpSink(() => ({}));
  headwater = await startHeadwater({ config: configOf(BROKEN) });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.close();
});

interface Page {
  quarantined: { id: string; script: string; message: string; event: Event }[];
  total: number;
}

const uuidOf = (index: number) => `01890a5d-ac96-774b-bcce-b302099a80${index + 10}`;
const page = (query = "") => headwater.api<Page>("GET", `/api/teams/acme/quarantine${query}`);
const replay = (body: object) => headwater.api<{ replayed: number }>("POST", "/api/teams/acme/quarantine/replay", body);
const received = () => sink.received.flatMap(({ body }) => JSON.parse(body) as Event[]);

it("what a script fails on, and what a restriction says, is kept through kill -9 and reaches no destination (invariants 2 and 5)", async () => {
  const batch = Array.from({ length: 6 }, (_, i) => ({
    event: "signup",
    uuid: uuidOf(i),
    distinct_id: i === 5 ? "suspect" : `user-${i}`,
    properties: i % 2 === 0 ? {} : { plan: { name: `pro ${i}` } },
  }));
  expect((await headwater.send({ api_key: "phc_acme", batch })).status).toBe(200);
  const { hook } = await headwater.waitForQuiet("acme", ["hook"], { accepted: 6 });
  expect(hook).toMatchObject({ accepted: 6, delivered: 2, dead: 4, pending: 0 });
  expect((await headwater.deadLetters("acme", "hook")).total).toBe(0);
  await headwater.killTree();
  await headwater.start();
  expect(await headwater.flow("acme")).toEqual({ hook });
  const { quarantined, total } = await page("?script=plan");
  expect([total, quarantined.map(({ event }) => event.uuid)]).toEqual([3, [0, 2, 4].map(uuidOf)]);
  expect(quarantined[0]).toMatchObject({ event: { event: "signup" }, message: expect.stringContaining("TypeError") });
  expect((await page("?script=restriction")).quarantined).toMatchObject([{ event: { uuid: uuidOf(5) } }]);
});

it("the script's record says in words what is wrong with it, with a sample", async () => {
  interface Script {
    events: number;
    errors: number;
    trouble: string | null;
    failures: { count: number; sample: Event; stack: string[] }[];
    fuel: { p50: number; total: number };
  }
  await headwater.send({
    api_key: "phc_acme",
    event: "signup",
    distinct_id: "user-7",
    properties: {},
    uuid: uuidOf(7),
  });
  const script = await until(
    async () => {
      const path = "/api/teams/acme/transformations";
      const { transformations } = await headwater.api<{ transformations: Script[] }>("GET", path);
      return (transformations[0]?.errors ?? 0) > 0 ? transformations[0] : null;
    },
    { timeoutMs: 20_000, describe: () => "waiting for the quarantine" },
  );
  expect(script?.trouble).toMatch(/^it fails on .*TypeError/);
  expect(script?.failures[0]).toMatchObject({
    sample: { event: "signup" },
    stack: [expect.stringContaining("plan:1")],
  });
  expect(script?.fuel.total).toBeGreaterThan(0);
});

it("released before it is mended it is back; after it, it arrives once, with its uuid; the rest is discarded (invariants 5 and 7)", async () => {
  const [first] = (await page("?script=plan")).quarantined;
  expect(await replay({ ids: [first?.id] })).toEqual({ team: "acme", replayed: 1 });
  await until(
    async () =>
      (await page("?script=plan")).quarantined.some(
        ({ id, event }) => id !== first?.id && event.uuid === first?.event.uuid,
      ) || null,
    {
      timeoutMs: 20_000,
      describe: () => "waiting for the quarantine",
    },
  );
  await headwater.api("PUT", "/api/config", configOf(MENDED));
  expect(await replay({ script: "plan" })).toEqual({ team: "acme", replayed: 4 });
  expect(await replay({ distinct_id: "suspect" })).toEqual({ team: "acme", replayed: 1 });
  const { hook } = await until(
    async () => {
      const books = await headwater.flow("acme");
      return books.hook?.delivered === 7 ? books : null;
    },
    { timeoutMs: 20_000, describe: () => "waiting for the quarantine" },
  );
  expect(hook && imbalance(hook)).toBe(0);
  expect(hook).toMatchObject({ accepted: 7, delivered: 7, dead: 0, dropped: 0 });
  expect(
    received()
      .map(({ uuid }) => uuid)
      .sort(),
  ).toEqual([0, 1, 2, 3, 4, 5, 7].map(uuidOf));
  expect(received().filter(({ event }) => event === "none")).toHaveLength(4);
  expect(received().find(({ uuid }) => uuid === uuidOf(5))).not.toHaveProperty("quarantine");
  expect((await page()).total).toBe(0);

  await headwater.send({ api_key: "phc_acme", event: "signup", distinct_id: "suspect", properties: {} });
  await until(async () => (await page()).total === 1 || null, {
    timeoutMs: 20_000,
    describe: () => "waiting for the quarantine",
  });
  expect(await headwater.api("POST", "/api/teams/acme/quarantine/discard", {})).toEqual({ team: "acme", discarded: 1 });
  expect((await headwater.flow("acme")).hook).toMatchObject({ accepted: 8, delivered: 7, dropped: 1, dead: 0 });
  const { samples } = await headwater.api<{ samples: Event[] }>("GET", "/api/teams/acme/samples?limit=1");
  expect(samples).toMatchObject([{ distinct_id: "suspect" }]);
});
