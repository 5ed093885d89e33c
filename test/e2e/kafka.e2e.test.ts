import { afterAll, beforeAll, expect, it } from "vitest";
import { type Kafka, kafkaAvailable, startKafka } from "./kafka.ts";

const is = kafkaAvailable();
let kafka: Kafka;

beforeAll(async () => {
  if (is.available) kafka = await startKafka();
});
afterAll(() => kafka?.stop());

const produce = (topic: string, records: unknown[]) =>
  fetch(`${kafka.bridge}/topics/${topic}`, {
    method: "POST",
    headers: { "content-type": "application/vnd.kafka.json.v2+json" },
    body: JSON.stringify({ records }),
  });

it("a real broker keeps what the bridge was sent: order, key, headers, value", async (context) => {
  if (!is.available) return context.skip(is.reason);
  kafka.createTopic("proof", 3);
  const records = Array.from({ length: 300 }, (_, n) => ({
    key: `user-${n % 7}`,
    value: { n },
    headers: [{ key: "uuid", value: btoa(`id-${n}`) }],
  }));
  const answer = await produce("proof", records);
  expect(answer.status).toBe(200);
  const { offsets } = (await answer.json()) as { offsets: { partition: number; offset: number }[] };
  const read = kafka.consumeAll("proof", { max: 300 });
  expect(read).toHaveLength(300);
  for (const record of read) {
    const { n } = JSON.parse(record.value) as { n: number };
    expect(record).toMatchObject({ key: `"user-${n % 7}"`, headers: { uuid: `id-${n}` }, ...offsets[n] });
  }
});

it("an unknown topic is a failed record inside an HTTP 200", async (context) => {
  if (!is.available) return context.skip(is.reason);
  const answer = await produce("nowhere", [{ value: 1 }]);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ offsets: [{ error_code: 404 }] });
});

it("a record with an unknown field refuses the request", async (context) => {
  if (!is.available) return context.skip(is.reason);
  expect((await produce("proof", [{ value: 1, surprise: true }])).status).toBe(422);
});
