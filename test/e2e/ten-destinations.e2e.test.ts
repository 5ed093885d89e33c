import { afterAll, beforeAll, expect, it } from "vitest";
import { imbalance } from "./headwater.ts";
import { DEAD, HEALTHY, IDS, TenWebhooks } from "./ten-webhooks.ts";

/** Of the phase without trouble; the one with trouble is three times as long, so that open breakers have come to rest. */
const CALM_MS = Number(process.env.TEN_S ?? 8) * 1_000;
const TROUBLE_MS = 3 * CALM_MS;
/** Far above what bench/scenarios/isolation.ts holds the product to: a test machine is busy with other things. */
const RATIO = 3;
const SLACK_MS = 500;
/** Five failures open a breaker, with three more under way; from then on a probe after 1, 2, 4 … seconds, less jitter. */
const PROBES_MAX_COUNT = 8 + Math.ceil(Math.log2(TROUBLE_MS / 500)) + 2;

let ten: TenWebhooks;
beforeAll(async () => {
  ten = await TenWebhooks.start();
});
afterAll(() => ten?.stop());

it("of ten webhooks four stay as fast as they were beside three dead ones, a slow, a flapping and a throttling one; all recover (invariants 4 and 5)", async () => {
  const { tries, p99Ms } = await ten.run(CALM_MS, TROUBLE_MS);
  console.log(`requests while in trouble: ${JSON.stringify(tries)}`);
  console.log(`healthy, p99 from answer to delivery: ${JSON.stringify(p99Ms)}`);
  const { traffic, sinks, headwater } = ten;
  expect(traffic.serverErrors).toBe(0);
  for (const { calm, beside } of p99Ms) expect(beside).toBeLessThanOrEqual(RATIO * calm + SLACK_MS);
  for (const id of DEAD) expect([id, tries[id]! <= PROBES_MAX_COUNT]).toEqual([id, true]);
  // It asks for a second each time, and is asked by one request after it, with what was under way at first.
  expect(tries.throttling).toBeLessThanOrEqual(4 + TROUBLE_MS / 1_000);
  const total = traffic.answered.size;
  const books = await headwater.flow("acme");
  for (const id of IDS) {
    const counts = sinks[id]!.counts();
    expect([id, [...traffic.answered.keys()].filter((uuid) => !counts.has(uuid))]).toEqual([id, []]);
    expect(books[id]).toMatchObject({ accepted: total, delivered: total, dead: 0, pending: 0 });
    expect(imbalance(books[id]!)).toBe(0);
  }
  // Nothing was killed and nothing failed there.
  for (const id of HEALTHY) expect(Math.max(...sinks[id]!.counts().values())).toBe(1);
}, 600_000);
