import { afterAll, beforeAll, expect, it } from "vitest";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { type HttpKafka, startConfluentV2Server } from "./kafka-servers.ts";
import { Traffic } from "./traffic.ts";
import { sleep, until } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const KILLS = Number(process.env.KILLS ?? 5);
const MIN_RUN_MS = 300;
const MAX_RUN_MS = 2_500;
const RESUME_TIMEOUT_MS = 60_000;
/**
 * A request is in flight at a kill until the outbox has written down what became of it. The destination sees its own answer, not
 * that write: an answer this short before the kill counts as in flight. The largest such gap seen is printed.
 */
const SETTLE_MS = 500;
const SCRIPT = "export function transform(event) { event.properties.seen = true; return event; }";

let sink: WebhookSink;
let kafka: HttpKafka;
let headwater: Headwater;

beforeAll(async () => {
  sink = await startWebhookSink({ keep: "uuids" });
  kafka = await startConfluentV2Server();
  headwater = await startHeadwater({
    config: {
      teams: [
        {
          id: "acme",
          tokens: ["phc_acme"],
          transformations: [{ id: "mark", code: SCRIPT }],
          destinations: [
            { id: "hook", kind: "webhook", url: sink.url, batch: { max_events: 100, max_wait_ms: 50 } },
            { id: "kafka", kind: "kafka", protocol: "confluent-v2", url: kafka.url, topic: "events" },
          ],
        },
      ],
    },
  });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.stop();
  await kafka?.stop();
});

/** One arrival of an event at a destination, and when its request arrived and was answered. */
interface Arrival {
  uuid: string;
  arrivedAt: number;
  answeredAt: number | null;
}

const uuidOf = (value: string) => (JSON.parse(value) as { uuid: string }).uuid;
const arrivals: Record<string, () => Arrival[]> = {
  hook: () =>
    sink.accepted.flatMap(({ uuids, arrivedAt, answeredAt }) => uuids.map((uuid) => ({ uuid, arrivedAt, answeredAt }))),
  kafka: () => kafka.records.map(({ value, request }) => ({ uuid: uuidOf(value), ...request })),
};

/** From the kill to the ready line after it. */
interface Outage {
  killedAt: number;
  readyAt: number;
}

/** How long before the kill the request was answered; null where it was not in flight at this kill at all. */
function settledBefore(arrival: Arrival, { killedAt, readyAt }: Outage): number | null {
  if (arrival.arrivedAt > readyAt) return null;
  const gap = Math.max(0, killedAt - (arrival.answeredAt ?? killedAt));
  return gap <= SETTLE_MS ? gap : null;
}

/** Counts events that came more than once, and lists those for which no kill is an excuse. */
function duplicates(all: Arrival[], outages: Outage[]) {
  const first = new Map<string, Arrival>();
  const result = { count: 0, unexcused: [] as string[], largestGapMs: 0 };
  for (const arrival of all) {
    const earlier = first.get(arrival.uuid);
    first.set(arrival.uuid, arrival);
    if (earlier === undefined) continue;
    result.count++;
    const gaps = outages.map((outage) => settledBefore(earlier, outage)).filter((gap) => gap !== null);
    if (gaps.length === 0) result.unexcused.push(arrival.uuid);
    else result.largestGapMs = Math.max(result.largestGapMs, Math.min(...gaps));
  }
  return result;
}

const missingAt = (destination: string, uuids: Iterable<string>): string[] => {
  const there = new Set(arrivals[destination]?.().map(({ uuid }) => uuid));
  return [...uuids].filter((uuid) => !there.has(uuid));
};

it(`invariants 1 and 2: ${KILLS} times kill -9 of everything under load loses nothing and repeats only what was in flight`, async () => {
  const traffic = new Traffic(headwater, { token: "phc_acme", perSecond: 200, batch: 10 });
  const outages: Outage[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    traffic.start();
    await sleep(MIN_RUN_MS + Math.random() * (MAX_RUN_MS - MIN_RUN_MS));
    const killedAt = await headwater.killTree();
    await traffic.stop();
    await headwater.restart();
    outages.push({ killedAt, readyAt: Date.now() });
    // No traffic from here on: what was promised before the kill has to move by itself.
    const describe = () =>
      `missing after kill ${kill + 1}: hook ${missingAt("hook", traffic.answered.keys()).length}, kafka ${missingAt("kafka", traffic.answered.keys()).length}`;
    await until(() => ["hook", "kafka"].every((id) => missingAt(id, traffic.answered.keys()).length === 0), {
      timeoutMs: RESUME_TIMEOUT_MS,
      describe,
    });
    console.log(
      `kill ${kill + 1}: everything at both destinations ${Date.now() - (outages.at(-1)?.readyAt ?? 0)} ms after ready`,
    );
  }
  const books = await headwater.waitForQuiet("acme", ["hook", "kafka"]);
  expect(traffic.answered.size).toBeGreaterThan(KILLS * 100);
  for (const destination of ["hook", "kafka"]) {
    const all = arrivals[destination]?.() ?? [];
    const { count, unexcused, largestGapMs } = duplicates(all, outages);
    console.log(
      `${destination}: ${traffic.answered.size} events answered 200, ${all.length} arrivals, ${count} duplicates in flight at a kill (answered at most ${largestGapMs} ms before it)`,
    );
    expect(unexcused).toEqual([]);
    expect(missingAt(destination, traffic.answered.keys())).toEqual([]);
    // Nothing arrives that nobody sent.
    const known = new Set([...traffic.answered.keys(), ...traffic.unanswered]);
    expect(all.filter(({ uuid }) => !known.has(uuid))).toEqual([]);
    expect(imbalance(books[destination]!)).toBe(0);
  }
}, 600_000);
