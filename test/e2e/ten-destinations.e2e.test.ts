import { afterAll, beforeAll, expect, it } from "vitest";
import { delayP99Ms } from "./delay.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { Traffic } from "./traffic.ts";
import { sleep } from "./wait.ts";
import { type Behaviour, startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

/** Of the phase without trouble; the one with trouble is three times as long, so that open breakers have come to rest. */
const CALM_MS = Number(process.env.TEN_S ?? 8) * 1_000;
const TROUBLE_MS = 3 * CALM_MS;
const FLAP_MS = 700;
/** Far above what bench/scenarios/isolation.ts holds the product to: a test machine is busy with other things. */
const RATIO = 3;
const SLACK_MS = 500;
/** Five failures open a breaker, with three more under way; from then on a probe after 1, 2, 4 … seconds, less jitter. */
const PROBES_MAX_COUNT = 8 + Math.ceil(Math.log2(TROUBLE_MS / 500)) + 2;

const TROUBLES: Record<string, Behaviour> = {
  "dead-500": { kind: "status", status: 500 },
  "dead-reset": { kind: "reset" },
  "dead-hang": { kind: "hang" },
  slow: { kind: "slow", ms: 9_000 },
  throttling: { kind: "status", status: 429, headers: { "retry-after": "1" } },
};
const HEALTHY = ["healthy-1", "healthy-2", "healthy-3", "healthy-4"];
const IDS = [...HEALTHY, ...Object.keys(TROUBLES), "flapping"];

const sinks: Record<string, WebhookSink> = {};
let headwater: Headwater;

beforeAll(async () => {
  for (const id of IDS) sinks[id] = await startWebhookSink({ keep: "uuids" });
  const destinations = IDS.map((id) => ({
    ...{ id, kind: "webhook", url: sinks[id]!.url, batch: { max_events: 100, max_wait_ms: 100 } },
    retry: { base_ms: 200, max_delay_ms: 5_000 },
    ...(id === "dead-hang" ? { timeout_ms: 1_000 } : {}),
  }));
  headwater = await startHeadwater({ config: { teams: [{ id: "acme", tokens: ["phc_acme"], destinations }] } });
});

afterAll(async () => {
  await headwater?.stop();
  await Promise.all(Object.values(sinks).map((sink) => sink.stop()));
});

it("of ten webhooks four stay as fast as they were beside three dead ones, a slow, a flapping and a throttling one; all recover (invariants 4 and 5)", async () => {
  const traffic = new Traffic(headwater, { token: "phc_acme", perSecond: 30, batch: 5 });
  // The first events pay for starting objects and connections.
  await traffic.during(2_000);
  const begin = Date.now();
  await traffic.during(CALM_MS);
  const troubled = Date.now();
  for (const [id, behaviour] of Object.entries(TROUBLES)) sinks[id]!.behave(behaviour);
  const before = requests();
  traffic.start();
  for (let isDown = true; Date.now() < troubled + TROUBLE_MS; isDown = !isDown) {
    sinks.flapping!.behave(isDown ? { kind: "status", status: 503 } : { kind: "ok" });
    await sleep(FLAP_MS);
  }
  await traffic.stop();
  const end = Date.now();
  const tries = Object.fromEntries(Object.entries(requests()).map(([id, count]) => [id, count - before[id]!]));
  for (const sink of Object.values(sinks)) sink.behave({ kind: "ok" });

  const total = traffic.answered.size;
  const books = await headwater.waitForQuiet("acme", IDS, { accepted: total, timeoutMs: 240_000 });
  const p99 = HEALTHY.map((id) => [
    delayP99Ms(sinks[id]!, traffic, begin, troubled),
    delayP99Ms(sinks[id]!, traffic, troubled, end),
  ]) as [number, number][];
  console.log(`requests while in trouble: ${JSON.stringify(tries)}`);
  console.log(`healthy, p99 from answer to delivery, calm and beside the trouble: ${p99.join(" · ")} ms`);
  expect(traffic.serverErrors).toBe(0);
  for (const [calm, beside] of p99) expect(beside).toBeLessThanOrEqual(RATIO * calm + SLACK_MS);
  for (const id of ["dead-500", "dead-reset", "dead-hang"]) {
    expect([id, tries[id]! <= PROBES_MAX_COUNT]).toEqual([id, true]);
  }
  // Asked once a second, it is asked once a second, with what was under way at first.
  expect(tries.throttling).toBeLessThanOrEqual(4 + TROUBLE_MS / 1_000);
  for (const id of IDS) {
    const counts = sinks[id]!.counts();
    expect([id, [...traffic.answered.keys()].filter((uuid) => !counts.has(uuid))]).toEqual([id, []]);
    expect(books[id]).toMatchObject({ accepted: total, delivered: total, dead: 0, pending: 0 });
    expect(imbalance(books[id]!)).toBe(0);
  }
  // Nothing was killed and nothing failed there.
  for (const id of HEALTHY) expect(Math.max(...sinks[id]!.counts().values())).toBe(1);
}, 600_000);

function requests(): Record<string, number> {
  return Object.fromEntries(Object.entries(sinks).map(([id, sink]) => [id, sink.requests]));
}
