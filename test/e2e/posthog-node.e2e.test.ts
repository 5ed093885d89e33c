import { PostHog } from "posthog-node";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { type Kafka, kafkaAvailable, startKafka } from "./kafka.ts";
import { startConfluentV2Server } from "./kafka-servers.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const EVENTS = 10_000;
const USERS = 100;
const TOPIC = "events";
const PARTITIONS = 4;
const SECRET = "whsec_bm90LWEtcmVhbC1zZWNyZXQtYXQtYWxs";
const SCRIPT = `
export function transform(event) {
  event.properties.doubled = event.properties.n * 2;
  delete event.properties.email;
  return event;
}
`;

/** The HTTP Kafka of this machine: a real broker where Java is, else the test server. */
interface Topic {
  settings: { protocol: string; url: string };
  read(): Promise<Event[]>;
  stop(): Promise<void>;
}

const kafkaIs = kafkaAvailable();
let sink: WebhookSink;
let topic: Topic;
let headwater: Headwater;

beforeAll(async () => {
  sink = await startWebhookSink();
  topic = kafkaIs.available ? realTopic(await startKafka()) : await testServerTopic();
  headwater = await startHeadwater({
    env: { HOOK_SECRET: SECRET },
    config: {
      teams: [
        {
          id: "acme",
          tokens: ["phc_acme"],
          transformations: [{ id: "double", code: SCRIPT }],
          destinations: [
            { id: "hook", kind: "webhook", url: sink.url, ordered: true, signing_secret: "env:HOOK_SECRET" },
            { id: "kafka", kind: "kafka", topic: TOPIC, ...topic.settings },
          ],
        },
      ],
    },
  });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.stop();
  await topic?.stop();
});

function realTopic(kafka: Kafka): Topic {
  kafka.createTopic(TOPIC, PARTITIONS);
  const read = async () =>
    kafka
      .consumeAll(TOPIC, { max: EVENTS + 1 })
      // The consumer reads partition by partition; inside one the order is the broker's.
      .sort((a, b) => a.partition - b.partition || a.offset - b.offset)
      .map(({ value }) => JSON.parse(value) as Event);
  return { settings: { protocol: "strimzi", url: kafka.bridge }, read, stop: kafka.stop };
}

async function testServerTopic(): Promise<Topic> {
  console.log(`the HTTP Kafka of this run is the test server: ${kafkaIs.available ? "" : kafkaIs.reason}`);
  const server = await startConfluentV2Server();
  const read = async () => server.topic(TOPIC).map(({ value }) => JSON.parse(value) as Event);
  return { settings: { protocol: "confluent-v2", url: server.url }, read, stop: () => server.stop() };
}

const uuidOf = (n: number) => `0190b0f0-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;

async function sendWithPostHog(): Promise<void> {
  // The client's own queue drops what is beyond its bound.
  const client = new PostHog("phc_acme", { host: headwater.capture, flushAt: 100, maxQueueSize: EVENTS * 2 });
  const errors: unknown[] = [];
  client.on("error", (error) => errors.push(error));
  for (let n = 0; n < EVENTS; n++) {
    const properties = { n, email: `person${n}@example.com` };
    client.capture({ distinctId: `user-${n % USERS}`, event: "order placed", uuid: uuidOf(n), properties });
  }
  await client.shutdown(60_000);
  expect(errors).toEqual([]);
}

/** Every event once, with the client's uuid, in the client's order per user, changed by the script. */
function expectExactly(events: Event[]): void {
  expect(events).toHaveLength(EVENTS);
  const next = new Map<string, number>();
  for (const { uuid, distinct_id, properties } of events) {
    const n = next.get(distinct_id) ?? Number(distinct_id.slice("user-".length));
    next.set(distinct_id, n + USERS);
    expect({ uuid, ...properties }).toMatchObject({ uuid: uuidOf(n), n, doubled: n * 2 });
    expect(properties).not.toHaveProperty("email");
  }
  expect(next.size).toBe(USERS);
}

it("invariants 2, 3, 7: posthog-node's events reach webhook and Kafka exactly once, in order per user, under their own uuid", async () => {
  await sendWithPostHog();
  const books = await headwater.waitForQuiet("acme", ["hook", "kafka"], { accepted: EVENTS });
  for (const id of ["hook", "kafka"]) {
    expect(books[id]).toMatchObject({ accepted: EVENTS, delivered: EVENTS, pending: 0 });
    expect(imbalance(books[id]!)).toBe(0);
  }
  expectExactly(sink.accepted.flatMap(({ events }) => events));
  expectExactly(await topic.read());
});

it("every delivery of the webhook carries a signature that the Standard Webhooks library verifies", () => {
  const verifier = new Webhook(SECRET);
  expect(sink.accepted.length).toBeGreaterThan(0);
  for (const { body, headers } of sink.accepted) {
    expect(() => verifier.verify(body, headers as Record<string, string>)).not.toThrow();
  }
});

it("the Kafka of this run is a real broker", (context) => {
  if (!kafkaIs.available) return context.skip(kafkaIs.reason);
  expect(topic.settings.protocol).toBe("strimzi");
});
