import { describe, expect, test } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import type { Received, Reply } from "../testing/http-sink.ts";
import { aRequest, aShapedLine, aSink, deliver, runDestinationTests } from "./conformance.ts";
import { kafka } from "./kafka.ts";

const AUTH = { "auth.username": "user-name", "auth.password": "pass-word" };
const json = (value: unknown, status = 200): Reply => ({ status, body: JSON.stringify(value) });
const settingsOf = (protocol: string) => (url: string) => ({ protocol, url, topic: "events" });
const records = (request: Received) => (JSON.parse(request.body) as { records: unknown[] }).records;
const written = (_: unknown, i: number) => ({ partition: 0, offset: i });

runDestinationTests({
  kind: "kafka",
  settings: settingsOf("upstash"),
  secrets: AUTH,
  success: (request) =>
    json((JSON.parse(request.body) as unknown[]).map((_, i) => ({ topic: "events", ...written(_, i), timestamp: 1 }))),
  perRecord: {
    // The format has no failure of a single record; what is no result of a write is tried again.
    mixed: json([{ topic: "events", partition: 0, offset: 7 }, { topic: "events" }, null]),
    expected: ["delivered", "retry", "retry"],
    short: json([{ topic: "events", partition: 0, offset: 7 }]),
  },
  shaped: { key: "k", headers: { h: "1" } },
  bodies: ({ body }) => (JSON.parse(body) as { value: string }[]).map(({ value }) => value),
});

runDestinationTests({
  kind: "kafka",
  settings: settingsOf("confluent-v2"),
  secrets: AUTH,
  success: (request) => json({ offsets: records(request).map(written) }),
  perRecord: {
    mixed: json({
      offsets: [
        { partition: 0, offset: 7, error_code: null, error: null },
        { partition: null, offset: null, error_code: 50003, error: "not enough replicas" },
        { partition: null, offset: null, error_code: 50002, error: "record too large" },
      ],
    }),
    expected: ["delivered", "retry", "dead"],
    short: json({ offsets: [{ partition: 0, offset: 7 }] }),
  },
  shaped: { key: "k" },
  bodies: (request) => (records(request) as { value: string }[]).map(({ value }) => atob(value)),
});

runDestinationTests({
  kind: "kafka",
  settings: settingsOf("strimzi"),
  secrets: AUTH,
  success: (request) => json({ offsets: records(request).map(written) }),
  perRecord: {
    mixed: json({
      offsets: [
        { partition: 0, offset: 7 },
        { error_code: 500, message: "broker away" },
        { error_code: 413, message: "record too large" },
      ],
    }),
    expected: ["delivered", "retry", "dead"],
    short: json({ offsets: [{ partition: 0, offset: 7 }] }),
  },
  shaped: { key: "k", headers: { h: "1" } },
  bodies: (request) => (records(request) as { value: string }[]).map(({ value }) => value),
});

/** Reports as the proxy streams them: one behind the other, CRLF between. */
const reports = (list: unknown[]): Reply => ({
  status: 200,
  body: list.map((one) => JSON.stringify(one)).join("\r\n"),
});
const ndjson = ({ body }: Received) => body.split("\n").map((text) => JSON.parse(text) as V3Record);
const reported = (_: unknown, offset: number) => ({ error_code: 200, topic_name: "events", partition_id: 0, offset });

interface V3Record {
  key?: { type: string; data: string };
  value: { type: string; data: string };
  headers?: { name: string; value: string }[];
}

runDestinationTests({
  kind: "kafka",
  settings: (url) => ({ ...settingsOf("confluent-v3")(url), cluster: "lkc-1" }),
  secrets: AUTH,
  success: (request) => reports(ndjson(request).map(reported)),
  perRecord: {
    mixed: reports([
      { error_code: 200, partition_id: 0, offset: 7 },
      { error_code: 50003, message: "not enough replicas" },
      { error_code: 413, message: "record too large" },
    ]),
    expected: ["delivered", "retry", "dead"],
    short: reports([{ error_code: 200, partition_id: 0, offset: 7 }]),
  },
  shaped: { key: "k", headers: { h: "1" } },
  bodies: (request) => ndjson(request).map(({ value }) => atob(value.data)),
});

runDestinationTests({
  kind: "kafka",
  settings: (url) => ({ ...settingsOf("confluent-v2")(url), dialect: "redpanda" }),
  secrets: AUTH,
  success: () => json({ offsets: [{ partition: 0, offset: 7 }] }),
  perRecord: null,
  shaped: { key: "k" },
  bodies: (request) => (records(request) as { value: string }[]).map(({ value }) => atob(value)),
});

async function sentBy(protocol: string, extra: Record<string, unknown> = {}, request = aRequest()): Promise<Received> {
  const sink = await aSink(() => json({ offsets: [] }));
  await deliver("kafka", { ...settingsOf(protocol)(`${sink.url}/base/`), ...extra }, AUTH, request);
  return sink.received[0]!;
}

const line = JSON.stringify(anEvent({ properties: { text: 'ä "q"', big: 1e21 } }));
const one = () => aRequest({}, [line]);

test("upstash: one request of the library's own shape, with basic authentication", async () => {
  const { path, body, headers } = await sentBy("upstash", {}, one());
  expect([path, headers.authorization]).toEqual(["/base/produce", `Basic ${btoa("user-name:pass-word")}`]);
  expect(JSON.parse(body)).toEqual([{ topic: "events", value: line, key: "phc_acme:user-1" }]);
});

test("upstash: the library's own six tries are switched off", async () => {
  const sink = await aSink(() => json({ error: "no", status: 500 }, 500));
  await deliver("kafka", settingsOf("upstash")(sink.url), AUTH);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(sink.received).toHaveLength(1);
});

test("confluent-v2: keys and values are base64 of their exact bytes", async () => {
  const { path, body, headers } = await sentBy("confluent-v2", { format: "posthog" }, one());
  expect([path, headers["content-type"]]).toEqual(["/base/topics/events", "application/vnd.kafka.binary.v2+json"]);
  const [record] = JSON.parse(body).records;
  expect(Object.keys(record)).toEqual(["key", "value"]);
  expect(atob(record.key)).toBe("phc_acme:user-1");
  expect((await sentBy("confluent-v2", { key: "" }, one())).body).toBe(
    `{"records":[{"value":"${Buffer.from(line).toString("base64")}"}]}`,
  );
});

test("strimzi: keys and values are text, headers base64", async () => {
  const { path, body, headers } = await sentBy("strimzi", {}, one());
  expect([path, headers["content-type"]]).toEqual(["/base/topics/events", "application/vnd.kafka.text.v2+json"]);
  expect(JSON.parse(body)).toEqual({ records: [{ key: "phc_acme:user-1", value: line }] });
  const [record] = JSON.parse((await sentBy("strimzi", { format: "posthog" }, one())).body).records;
  const decoded = record.headers.map(({ key, value }: { key: string; value: string }) => [key, atob(value)]);
  expect(decoded).toEqual([
    ["token", "phc_acme"],
    ["distinct_id", "user-1"],
    ["timestamp", String(Date.UTC(2026, 0, 1))],
    ["event", "$pageview"],
    ["uuid", anEvent().uuid],
    ["now", "2026-01-01T00:00:01.000Z"],
  ]);
});

test("format posthog is PostHog's CapturedEvent, the client's part encoded once more", async () => {
  const event = anEvent({
    ...{ historical: true, heatmap_split: true as const, sent_at: "2026-01-01T00:00:00.500Z", $set: { plan: "pro" } },
    properties: { $session_id: "s1", $process_person_profile: false },
  });
  const { body } = await sentBy("upstash", { format: "posthog" }, aRequest({}, [JSON.stringify(event)]));
  const [{ value, headers }] = JSON.parse(body);
  const { data, ...captured } = JSON.parse(value);
  expect(captured).toEqual({
    ...{ uuid: event.uuid, distinct_id: "user-1", ip: "203.0.113.7", now: event.received_at, sent_at: event.sent_at },
    ...{ token: "phc_acme", event: "$pageview", timestamp: event.timestamp, historical_migration: true },
  });
  expect(JSON.parse(data)).toEqual({
    ...{ event: "$pageview", distinct_id: "user-1", uuid: event.uuid, timestamp: event.timestamp },
    ...{ properties: event.properties, $set: { plan: "pro" } },
  });
  expect(headers).toEqual(
    expect.arrayContaining([
      { key: "session_id", value: "s1" },
      { key: "force_disable_person_processing", value: "true" },
      { key: "historical_migration", value: "true" },
      { key: "skip_heatmap_processing", value: "true" },
    ]),
  );
});

test("the key is what its template says", async () => {
  const { body } = await sentBy("strimzi", { key: "{team}/{token}/{event}/{uuid}/{distinct_id}" }, one());
  expect(JSON.parse(body).records[0].key).toBe(`acme/phc_acme/$pageview/${anEvent().uuid}/user-1`);
});

test.each([
  ["confluent-v2", { offsets: [written(0, 0), { error_code: 50002, error: "too large" }, written(0, 2)] }, 403],
  ["confluent-v2", { offsets: [written(0, 0), { error_code: 1, error: "karapace" }, written(0, 2)] }, 422],
])("%s: written records of a refused request count as written", async (protocol, answer, status) => {
  const sink = await aSink(() => json(answer, status));
  const outcomes = await deliver("kafka", settingsOf(protocol)(sink.url), AUTH);
  expect(outcomes.map(({ result }) => result)).toEqual(["delivered", "dead", "delivered"]);
});

test.each([
  ["strimzi", json({ offsets: [0, 1, 2].map(() => ({ error_code: 404, message: "unknown topic" })) })],
  ["strimzi", json({ error_code: 404, message: "unknown topic" }, 404)],
  ["confluent-v2", json({ error_code: 40401, message: "Topic not found." }, 404)],
  ["confluent-v2", json({ offsets: [0, 1, 2].map(() => ({ error_code: 3 })) })],
])("%s: an unknown topic is waited for, so that order holds", async (protocol, answer) => {
  const sink = await aSink(() => answer);
  const outcomes = await deliver("kafka", settingsOf(protocol)(sink.url), AUTH);
  expect(outcomes.map(({ result }) => result)).toEqual(["retry", "retry", "retry"]);
});

test.each([
  [{ protocol: "carrier-pigeon", url: "https://k.test", topic: "t" }, "protocol"],
  [{ protocol: "upstash", url: "https://k.test", topic: "t" }, "auth"],
  [{ protocol: "strimzi", url: "https://k.test", topic: "a/b" }, "topic"],
  [{ protocol: "strimzi", url: "https://k.test", topic: "t", key: "{nobody}" }, "key"],
])("settings %j are refused where they are wrong", (settings, field) => {
  expect(kafka.settings.safeParse(settings).error?.issues[0]?.path[0]).toBe(field);
});

describe.each(["strimzi", "confluent-v2", "upstash"])("%s", (protocol) => {
  test.each([
    [401, "refuses the credentials: correct auth"],
    [403, 'lets the user of auth not write to the topic "events": correct auth'],
  ])("a refusal with %i is tried again, and says whose credentials they are", async (status, reason) => {
    const sink = await aSink(() => json({ error_code: status * 100 + 1, message: "no" }, status));
    const outcomes = await deliver("kafka", settingsOf(protocol)(sink.url), AUTH);
    expect(outcomes).toMatchObject(
      [0, 1, 2].map(() => ({ result: "retry", status, reason: expect.stringContaining(reason) })),
    );
  });
});

test("a refusal of single records is tried again too", async () => {
  const refused = [40101, 40301, 40301].map((error_code) => ({ error_code, error: "denied" }));
  const sink = await aSink(() => json({ offsets: refused }, 401));
  const outcomes = await deliver("kafka", settingsOf("confluent-v2")(sink.url), {});
  expect(outcomes.map(({ result }) => result)).toEqual(["retry", "retry", "retry"]);
  expect(outcomes[0]).toMatchObject({ reason: expect.stringContaining("wants credentials: set auth") });
});

/** Events, and shaped ones for two more topics. */
const mixedLines = [
  JSON.stringify(anEvent()),
  aShapedLine({ topic: "a", key: "k", body: "1" }),
  aShapedLine({ topic: "b", key: null, body: "2" }),
  aShapedLine({ topic: "a", key: "k", body: "3" }),
  aShapedLine({ body: { n: 4 } }),
];
const mixed = () => aRequest({ shaped: true }, mixedLines);
const topicOf = ({ path }: Received) => path.split("/").at(-1)!;

test("upstash: topics and keys of the script's are those of its records, in one request", async () => {
  const { body } = await sentBy("upstash", {}, mixed());
  expect(JSON.parse(body).map(({ topic, key, value }: Record<string, string>) => [topic, key, value])).toEqual([
    ["events", "phc_acme:user-1", mixedLines[0]],
    ["a", "k", "1"],
    ["b", undefined, "2"],
    ["a", "k", "3"],
    ["events", "phc_acme:user-1", '{"n":4}'],
  ]);
});

test("strimzi: each topic has a request of its own, in which records keep their order, and each record its own result", async () => {
  // Topic "a" takes its first record and not its second; topic "b" is unknown.
  const answers: Record<string, Reply> = {
    events: json({ offsets: [written(0, 0), written(0, 1)] }),
    a: json({ offsets: [written(0, 0), { error_code: 413, message: "too large" }] }),
    b: json({ error_code: 404, message: "unknown topic" }, 404),
  };
  const sink = await aSink((request) => answers[topicOf(request)]!);
  const outcomes = await deliver("kafka", settingsOf("strimzi")(sink.url), AUTH, mixed());
  expect(outcomes.map(({ result }) => result)).toEqual(["delivered", "delivered", "retry", "dead", "delivered"]);
  expect(outcomes[2]).toMatchObject({ reason: expect.stringContaining('does not know the topic "b"') });
  expect(sink.received.map((request) => [topicOf(request), records(request)])).toEqual([
    [
      "events",
      [
        { key: "phc_acme:user-1", value: mixedLines[0] },
        { key: "phc_acme:user-1", value: '{"n":4}' },
      ],
    ],
    [
      "a",
      [
        { key: "k", value: "1" },
        { key: "k", value: "3" },
      ],
    ],
    ["b", [{ value: "2" }]],
  ]);
});

test("a topic that the script named and nobody may write to is no reason to hold back the others", async () => {
  const sink = await aSink((request) =>
    topicOf(request) === "a" ? json({ error_code: 40301 }, 403) : json({ offsets: records(request).map(written) }),
  );
  const outcomes = await deliver("kafka", settingsOf("confluent-v2")(sink.url), AUTH, mixed());
  expect(outcomes.map(({ result }) => result)).toEqual(["delivered", "dead", "delivered", "dead", "delivered"]);
});

test.each([401, 429])("after a %i the other topics are not asked", async (status) => {
  const sink = await aSink(() => ({ status }));
  const outcomes = await deliver("kafka", settingsOf("strimzi")(sink.url), AUTH, mixed());
  expect(outcomes.map(({ result }) => result)).toEqual(["retry", "retry", "retry", "retry", "retry"]);
  expect(sink.received).toHaveLength(1);
});

test("headers of the script's stand beside those of format posthog, in the place of those that they name", async () => {
  const line = aShapedLine({ headers: { event: "renamed", own: "1" } });
  const { body } = await sentBy("strimzi", { format: "posthog" }, aRequest({ shaped: true }, [line]));
  const [{ headers, value }] = JSON.parse(body).records;
  const decoded = Object.fromEntries(headers.map(({ key, value }: Record<string, string>) => [key, atob(value!)]));
  expect(decoded).toMatchObject({ token: "phc_acme", event: "renamed", own: "1" });
  expect(JSON.parse(value)).toMatchObject({ event: "$pageview", token: "phc_acme" });
});

test.each([
  [{ topic: "../admin" }, "no name of a Kafka topic"],
  [{ topic: ".." }, "no name of a Kafka topic"],
  [{ key: 7 }, "a key that is neither text nor null"],
  [{ headers: { own: "1" } }, "protocol confluent-v2 cannot carry"],
])("a script that gives %j makes a dead letter of that record alone", async ($request, reason) => {
  const sink = await aSink((request) => json({ offsets: records(request).map(written) }));
  const request = aRequest({ shaped: true }, [mixedLines[0]!, aShapedLine($request), mixedLines[4]!]);
  const outcomes = await deliver("kafka", settingsOf("confluent-v2")(sink.url), AUTH, request);
  expect(outcomes).toMatchObject([
    { result: "delivered" },
    { result: "dead", reason: expect.stringContaining(reason) },
    { result: "delivered" },
  ]);
});

test("format posthog says that an event is cookieless, and then tells its users by their address", async () => {
  const line = (mode: boolean) => JSON.stringify(anEvent({ properties: { $cookieless_mode: mode } }));
  const { body } = await sentBy("upstash", { format: "posthog" }, aRequest({}, [line(true), line(false)]));
  const [cookieless, other] = JSON.parse(body);
  expect([JSON.parse(cookieless.value).is_cookieless_mode, cookieless.key]).toEqual([true, "phc_acme:203.0.113.7"]);
  expect([JSON.parse(other.value).is_cookieless_mode, other.key]).toEqual([undefined, "phc_acme:user-1"]);
});

const V3 = (url: string) => ({ ...settingsOf("confluent-v3")(url), cluster: "lkc-1" });

test("confluent-v3: one record a line, in base64, at the cluster's topic", async () => {
  const sink = await aSink((request) => reports(ndjson(request).map(reported)));
  const settings = { ...V3(`${sink.url}/kafka/`), format: "posthog", headers: { own: "{team}" } };
  await deliver("kafka", settings, AUTH, aRequest({}, [line, line]));
  const [{ path, headers, body }] = sink.received as [Received];
  expect(path).toBe("/kafka/v3/clusters/lkc-1/topics/events/records");
  expect([headers["content-type"], headers.authorization]).toEqual([
    "application/json",
    `Basic ${btoa("user-name:pass-word")}`,
  ]);
  const sent = ndjson({ ...sink.received[0]!, body });
  expect(sent).toHaveLength(2);
  expect(sent[0]?.key).toEqual({ type: "BINARY", data: btoa("phc_acme:user-1") });
  expect(sent[0]?.headers?.map(({ name, value }) => [name, atob(value)])).toEqual(
    expect.arrayContaining([
      ["token", "phc_acme"],
      ["own", "acme"],
    ]),
  );
});

test("confluent-v3: what was reported before the answer breaks off or turns to nonsense counts", async () => {
  const first = JSON.stringify(reported(null, 0));
  for (const body of [`${first}{"error_code":20`, `${first}{nonsense}`, `${first}\r\n`]) {
    const sink = await aSink(() => ({ status: 200, body }));
    const outcomes = await deliver("kafka", V3(sink.url), AUTH);
    expect(outcomes.map(({ result }) => result)).toEqual(["delivered", "retry", "retry"]);
  }
});

test("confluent-v3: a record that the proxy cannot read dies alone, and those behind it are sent again", async () => {
  const sink = await aSink(() => reports([reported(null, 0), { error_code: 400, message: "Bad Request" }]));
  const outcomes = await deliver("kafka", V3(sink.url), AUTH);
  expect(outcomes.map(({ result }) => result)).toEqual(["delivered", "dead", "retry"]);
});

test.each([
  [
    { error_code: 40301, message: "denied" },
    { result: "retry", reason: expect.stringContaining("lets the user of auth not") },
  ],
  [{ error_code: 40401, message: "no topic" }, { result: "retry" }],
  [
    { error_code: 42901, message: "slow down" },
    { result: "retry", throttled: true },
  ],
  [{ error_code: 50002, message: "never" }, { result: "dead" }],
  [{ error_code: 50302, message: "no broker" }, { result: "retry" }],
  [{ error_code: 42206, message: "payload" }, { result: "dead" }],
])("confluent-v3: a report of %j", async (report, expected) => {
  const sink = await aSink(() => reports([reported(null, 0), report, reported(null, 1)]));
  const outcomes = await deliver("kafka", V3(sink.url), AUTH);
  expect(outcomes).toMatchObject([{ result: "delivered" }, expected, { result: "delivered" }]);
});

const REDPANDA = (url: string) => ({ ...settingsOf("confluent-v2")(url), dialect: "redpanda" });
const values = (request: Received) => (records(request) as { value: string }[]).map(({ value }) => atob(value));

test("redpanda: one result a partition says that all is written, whatever the number of records", async () => {
  const sink = await aSink(() => json({ offsets: [written(0, 3), { partition: 1, error_code: 0, offset: 9 }] }));
  const outcomes = await deliver("kafka", REDPANDA(sink.url), AUTH);
  expect(outcomes.map(({ result }) => result)).toEqual(["delivered", "delivered", "delivered"]);
});

test.each([3, 6, 19, 29])("redpanda: code %i of one partition has all records sent again", async (code) => {
  const sink = await aSink(() => json({ offsets: [written(0, 3), { partition: 1, error_code: code, offset: -1 }] }));
  const outcomes = await deliver("kafka", REDPANDA(sink.url), AUTH);
  expect(outcomes).toMatchObject([0, 1, 2].map(() => ({ result: "retry", status: code })));
  expect(sink.received).toHaveLength(1);
});

test("redpanda: a record that can never be written is found by halving, and order is kept", async () => {
  const events = Array.from({ length: 9 }, (_, n) => JSON.stringify(anEvent({ properties: { n } })));
  const isBad = (text: string) => text === events[5];
  const sink = await aSink((request) => {
    const bad = values(request).some(isBad);
    return json({ offsets: [bad ? { partition: 0, error_code: 10, offset: -1 } : written(0, 0)] });
  });
  const outcomes = await deliver("kafka", REDPANDA(sink.url), AUTH, aRequest({}, events));
  expect(outcomes.map(({ result }) => result)).toEqual(events.map((text) => (isBad(text) ? "dead" : "delivered")));
  const taken = sink.received.map(values).filter((texts) => !texts.some(isBad));
  expect(taken.flat()).toEqual(events.filter((text) => !isBad(text)));
});

test("redpanda: what comes after a half that is to be sent again is not sent", async () => {
  const events = Array.from({ length: 4 }, (_, n) => JSON.stringify(anEvent({ properties: { n } })));
  const sink = await aSink((request) =>
    json({ offsets: [{ partition: 0, error_code: records(request).length === 4 ? 10 : 19, offset: -1 }] }),
  );
  const outcomes = await deliver("kafka", REDPANDA(sink.url), AUTH, aRequest({}, events));
  expect(outcomes.map(({ result }) => result)).toEqual(Array(4).fill("retry"));
  expect(sink.received).toHaveLength(2);
});

test("confluent-v2: fewer results than records make one think of Redpanda", async () => {
  const sink = await aSink(() => json({ offsets: [written(0, 0)] }));
  const outcomes = await deliver("kafka", settingsOf("confluent-v2")(sink.url), AUTH);
  expect(outcomes[2]).toMatchObject({ reason: expect.stringContaining('set dialect to "redpanda"') });
});
