import { Kafka } from "@upstash/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anEvent } from "../../shared/testing/builders.ts";
import {
  CONFLUENT_RETRIABLE_CODE,
  type HttpKafka,
  startConfluentV2Server,
  startUpstashServer,
} from "./kafka-servers.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const uuid = (n: number) => `01890a5d-ac96-774b-bcce-${n.toString(16).padStart(12, "0")}`;
const post = (url: string, body: unknown, contentType = "application/json") =>
  fetch(url, { method: "POST", headers: { "content-type": contentType }, body: JSON.stringify(body) });

describe("webhook sink", () => {
  let sink: WebhookSink;
  beforeAll(async () => {
    sink = await startWebhookSink();
  });
  afterAll(() => sink.stop());

  it("counts an event as taken only when its request was answered 2xx", async () => {
    sink.behave({ kind: "steps", steps: [{ kind: "status", status: 500 }, { kind: "reset" }, { kind: "ok" }] });
    const events = [anEvent({ uuid: uuid(1) }), anEvent({ uuid: uuid(2), distinct_id: "user-2" })];
    expect((await post(sink.url, events)).status).toBe(500);
    await expect(post(sink.url, events)).rejects.toThrow();
    expect((await post(sink.url, events)).status).toBe(200);
    expect(sink.requests).toBe(3);
    expect(sink.counts()).toEqual(
      new Map([
        [uuid(1), 1],
        [uuid(2), 1],
      ]),
    );
    expect([...sink.byUser().keys()]).toEqual(["user-1", "user-2"]);
  });

  it("a hanging request stays unanswered until the sender leaves", async () => {
    sink.behave({ kind: "hang" });
    const before = sink.deliveries.length;
    await expect(fetch(sink.url, { method: "POST", body: "[]", signal: AbortSignal.timeout(200) })).rejects.toThrow();
    await expect.poll(() => sink.deliveries[before]).toMatchObject({ answeredAt: null, aborted: true });
  });

  it("cuts uuids from the text exactly as parsing finds them", async () => {
    const cheap = await startWebhookSink({ keep: "uuids" });
    await post(cheap.url, [anEvent({ uuid: uuid(3) }), anEvent({ uuid: uuid(4) })]);
    expect(cheap.deliveries[0]?.uuids).toEqual([uuid(3), uuid(4)]);
    expect(cheap.taken).toBe(2);
    await cheap.stop();
  });
});

describe("Confluent REST v2 server", () => {
  let kafka: HttpKafka;
  beforeAll(async () => {
    kafka = await startConfluentV2Server();
  });
  afterAll(() => kafka.stop());
  const produce = (records: unknown[]) =>
    post(`${kafka.url}/topics/events`, { records }, "application/vnd.kafka.json.v2+json");

  it("reports a failed record inside an HTTP 200 and writes the others in order", async () => {
    kafka.inject = ({ key }) => (key === "b" ? { code: CONFLUENT_RETRIABLE_CODE, message: "not now" } : null);
    const answer = await produce([
      { key: "a", value: { n: 1 } },
      { key: "b", value: { n: 2 } },
      { key: "a", value: { n: 3 } },
    ]);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      offsets: [{ offset: 0, error_code: null }, { error_code: 50_003, error: "not now" }, { offset: 1 }],
    });
    expect(kafka.topic("events").map(({ value }) => value)).toEqual(['{"n":1}', '{"n":3}']);
  });

  it("refuses record fields that the protocol does not have", async () => {
    expect((await produce([{ value: 1, headers: [] }])).status).toBe(422);
  });
});

it("the Upstash server takes what @upstash/kafka sends, headers included", async () => {
  const auth = { username: "u", password: "p" };
  const server = await startUpstashServer(auth);
  const producer = new Kafka({ url: server.url, ...auth }).producer();
  const written = await producer.produceMany([
    { topic: "events", key: "k", value: { n: 1 }, headers: [{ key: "uuid", value: "x" }] },
    { topic: "events", key: "k", value: { n: 2 } },
  ]);
  expect(written.map(({ offset }) => offset)).toEqual([0, 1]);
  expect(server.records[0]).toMatchObject({ key: "k", value: '{"n":1}', headers: { uuid: "x" } });
  await server.stop();
});
