import { afterAll, beforeAll, expect, it } from "vitest";
import { delayP99Ms } from "./delay.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { Traffic } from "./traffic.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

/** Length of each phase: undisturbed, 500s, hanging. */
const PHASE_MS = Number(process.env.OUTAGE_S ?? 10) * 1_000;
/** Long enough for a few tries, short enough for a test. */
const DEAD_AGE_MS = 3_000;
const TRANSIENT = { base_ms: 100, max_delay_ms: 1_000 };

let steady: WebhookSink;
let failing: WebhookSink;
let dead: WebhookSink;
let headwater: Headwater;

beforeAll(async () => {
  [steady, failing, dead] = await Promise.all([
    startWebhookSink({ keep: "uuids" }),
    startWebhookSink({ keep: "uuids" }),
    startWebhookSink({ keep: "uuids" }),
  ]);
  const batch = { max_events: 100, max_wait_ms: 100 };
  const hook = (id: string, { url }: WebhookSink, retry: object) => ({
    id,
    kind: "webhook",
    url,
    batch,
    timeout_ms: 1_000,
    retry,
  });
  headwater = await startHeadwater({
    config: {
      teams: [
        {
          id: "acme",
          tokens: ["phc_acme"],
          transformations: [{ id: "pass", code: "export const transform = (event) => event;" }],
          destinations: [
            hook("steady", steady, TRANSIENT),
            hook("failing", failing, TRANSIENT),
            hook("dead", dead, { ...TRANSIENT, max_age_ms: DEAD_AGE_MS }),
          ],
        },
      ],
    },
  });
});

afterAll(async () => {
  await headwater?.stop();
  await Promise.all([steady, failing, dead].map((sink) => sink?.stop()));
});

it("invariants 4 and 5: a destination that fails, hangs and recovers delays no other; one that never recovers ends in dead letters", async () => {
  const traffic = new Traffic(headwater, { token: "phc_acme", perSecond: 50, batch: 10 });
  // The first events pay for starting isolates and objects.
  await traffic.during(2_000);
  const begin = Date.now();
  await traffic.during(PHASE_MS);
  const disturbed = Date.now();
  dead.behave({ kind: "status", status: 500 });
  failing.behave({ kind: "status", status: 500 });
  await traffic.during(PHASE_MS);
  failing.behave({ kind: "hang" });
  await traffic.during(PHASE_MS);
  failing.behave({ kind: "ok" });

  const total = traffic.answered.size;
  const books = await headwater.waitForQuiet("acme", ["steady", "failing", "dead"], { accepted: total });
  const [calm, troubled] = [
    delayP99Ms(steady, traffic, begin, disturbed),
    delayP99Ms(steady, traffic, disturbed, Date.now()),
  ];
  console.log(
    `steady destination, p99 from answer to delivery: undisturbed ${calm} ms, beside the outage ${troubled} ms`,
  );
  console.log(`books: ${JSON.stringify(books)}`);
  expect(traffic.serverErrors).toBe(0);
  expect(troubled).toBeLessThanOrEqual(2 * calm);
  for (const sink of [steady, failing]) {
    const counts = sink.counts();
    expect([...traffic.answered.keys()].filter((uuid) => !counts.has(uuid))).toEqual([]);
  }
  expect(books.steady).toMatchObject({ accepted: total, delivered: total, dead: 0 });
  expect(books.failing).toMatchObject({ accepted: total, delivered: total, dead: 0 });
  // A steady destination sees no event twice: nothing was killed and nothing failed.
  expect(Math.max(...steady.counts().values())).toBe(1);

  const taken = dead.counts();
  const died = [...traffic.answered.keys()].filter((uuid) => !taken.has(uuid));
  expect(died.length).toBeGreaterThan(0);
  expect(books.dead).toMatchObject({ accepted: total, dead: died.length, delivered: total - died.length });
  const letters = await headwater.deadLetters("acme", "dead");
  expect(letters.total).toBe(died.length);
  expect(letters.dead_letters[0]).toMatchObject({ status: 500, event: "tick" });
  for (const id of ["steady", "failing", "dead"]) expect(imbalance(books[id]!)).toBe(0);
}, 600_000);

it("dead letters that are replayed reach a destination that has recovered", async () => {
  dead.behave({ kind: "ok" });
  const { total } = await headwater.deadLetters("acme", "dead");
  const before = dead.counts().size;
  const answer = await headwater.api("POST", "/api/teams/acme/dead-letters/replay", { destination: "dead" });
  expect(answer).toMatchObject({ replayed: total });
  const books = await headwater.waitForQuiet("acme", ["dead"]);
  expect(dead.counts().size).toBe(before + total);
  expect(books.dead).toMatchObject({ dead: 0, pending: 0 });
  expect(imbalance(books.dead!)).toBe(0);
});
