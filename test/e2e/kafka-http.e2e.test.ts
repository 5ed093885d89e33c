import { afterAll, beforeAll, expect, it } from "vitest";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { type Kafka, kafkaAvailable, startKafka } from "./kafka.ts";
import { type KafkaFront, startConfluentV3, startRedpanda } from "./kafka-fronts.ts";
import { duplicatesIn, FailedAttempts, numbered, PARTITIONS, sendNumbered, TOKEN } from "./kafka-traffic.ts";

const EVENTS = 10_000;
const CLUSTER = "lkc-1";
/** Often enough to meet retries of retries, rarely enough to get on. */
const FAILS_EVERY = 4;

const is = kafkaAvailable();
let kafka: Kafka;
let fronts: KafkaFront[] = [];
let headwater: Headwater | undefined;

beforeAll(async () => {
  if (!is.available) return;
  kafka = await startKafka();
  fronts = await Promise.all([startConfluentV3(kafka.bootstrap, CLUSTER), startRedpanda(kafka.bootstrap)]);
});
afterAll(async () => {
  await headwater?.stop();
  await Promise.all(fronts.map((front) => front.stop()));
  await kafka?.stop();
});

it("invariants 2, 3 and 5: through REST v3 that breaks off and a Redpanda that fails partitions nothing is lost and order holds", async (context) => {
  if (!is.available) return context.skip(is.reason);
  const [v3, redpanda] = fronts as [KafkaFront, KafkaFront];
  for (const front of fronts) front.fails = (request) => request % FAILS_EVERY === 0;
  for (const topic of ["v3", "redpanda"]) kafka.createTopic(topic, PARTITIONS);
  const common = { kind: "kafka", retry: { base_ms: 50, max_delay_ms: 500 } };
  const failed = new FailedAttempts();
  headwater = await startHeadwater({
    config: {
      teams: [
        {
          ...{ id: "acme", tokens: [TOKEN] },
          destinations: [
            {
              ...{ ...common, id: "v3", protocol: "confluent-v3", url: v3.url, cluster: CLUSTER, topic: "v3" },
              headers: { origin: "{team}" },
            },
            {
              ...common,
              id: "redpanda",
              protocol: "confluent-v2",
              dialect: "redpanda",
              url: redpanda.url,
              topic: "redpanda",
            },
          ],
        },
      ],
    },
    onOutput: (text) => failed.push(text),
  });
  await sendNumbered(headwater, EVENTS);
  const books = await headwater.waitForQuiet("acme", ["v3", "redpanda"], { accepted: EVENTS });
  for (const id of ["v3", "redpanda"]) {
    expect(books[id]).toMatchObject({ accepted: EVENTS, delivered: EVENTS, dead: 0 });
    expect(imbalance(books[id]!)).toBe(0);
    const records = kafka.consumeAll(id, { max: 3 * EVENTS }).map(numbered);
    const duplicates = duplicatesIn(records, EVENTS);
    console.log(`${id}: ${duplicates} duplicates of ${failed.events[id]} events in attempts that failed`);
    expect(failed.events[id]).toBeGreaterThan(0);
    expect(duplicates).toBeLessThanOrEqual(failed.events[id] ?? 0);
    expect(records[0]?.record.headers).toEqual(id === "v3" ? { origin: "acme" } : {});
  }
});
