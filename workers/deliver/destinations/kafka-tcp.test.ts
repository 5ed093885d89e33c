import { afterEach, describe, expect, test, vi } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { KafkaBrokers, type KafkaBrokersOptions } from "../testing/kafka-brokers.ts";
import { aKept, aRequest, aShapedLine, CLOCK, deliver } from "./conformance.ts";
import { kafka } from "./kafka.ts";
import { partitionOf } from "./murmur2.ts";

const IDLE_MS = 200;
const SASL = { "sasl.username": "user-name", "sasl.password": "pass-word" };

const running: KafkaBrokers[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((brokers) => brokers.stop()));
});

async function brokersOf(options: KafkaBrokersOptions = {}): Promise<KafkaBrokers> {
  const brokers = await KafkaBrokers.start({ topics: { events: 3 }, ...options });
  running.push(brokers);
  return brokers;
}

const line = (n: number, user = `user-${n}`, properties: Record<string, unknown> = { n }) =>
  JSON.stringify(anEvent({ distinct_id: user, properties }));
const lines = (count: number) => Array.from({ length: count }, (_, n) => line(n, `user-${n % 7}`));

/** Sends with the settings of a small cluster; a `Kept` keeps connections over several sends. */
function sender(brokers: KafkaBrokers, extra: Record<string, unknown> = {}) {
  const kept = aKept(IDLE_MS);
  const settings = { protocol: "tcp", brokers: [brokers.addresses[0]], topic: "events", ...extra };
  return (events = lines(20), shaped = false) => deliver("kafka", settings, {}, aRequest({ shaped }, events), kept);
}

const results = (outcomes: { result: string }[]) => outcomes.map(({ result }) => result);

describe("kafka over tcp", () => {
  test("records go to the partition of their key, in order, with one request for each broker", async () => {
    const brokers = await brokersOf({ brokers: 2 });
    const events = lines(50);
    expect(await sender(brokers)(events)).toEqual(events.map(() => ({ result: "delivered" })));
    const expected = new Map<number, string[]>();
    for (const [n, event] of events.entries()) {
      const partition = partitionOf(`phc_acme:user-${n % 7}`, 3);
      expected.set(partition, [...(expected.get(partition) ?? []), event]);
    }
    const written = brokers.records("events");
    expect([...written].map(([partition, records]) => [partition, records.map(({ value }) => value)]).sort()).toEqual(
      [...expected].sort(),
    );
    expect(written.get(0)?.[0]).toMatchObject({ timestamp: String(CLOCK.now()), headers: {} });
    expect(brokers.calls.filter((call) => call.startsWith("produce"))).toEqual(["produce acks -1", "produce acks -1"]);
  });

  test.each(["none", "gzip"])(
    "compression %s keeps keys, headers and texts of every length and alphabet",
    async (compression) => {
      const brokers = await brokersOf({ topics: { events: 1 } });
      const texts = ["", "ä", "😀".repeat(40), "x".repeat(63), "x".repeat(64), "y".repeat(9_000), "ß".repeat(70_000)];
      const events = texts.map((text, n) => line(n, `u-${text.slice(0, 60)}`, { text }));
      const headers = { about: "{event} of {distinct_id}", team: "{team}" };
      await sender(brokers, { compression, headers, acks: 1 })(events);
      const records = brokers.records("events").get(0);
      expect(records?.map(({ value }) => value)).toEqual(events);
      expect(records?.[2]).toMatchObject({
        key: `phc_acme:u-${"😀".repeat(30)}`,
        headers: { about: `$pageview of u-${"😀".repeat(30)}`, team: "acme" },
      });
      expect(brokers.calls).toContain("produce acks 1");
    },
  );

  test("the connection is used again, and closed once it is idle", async () => {
    const brokers = await brokersOf();
    const send = sender(brokers);
    for (let n = 0; n < 3; n++) await send();
    expect(brokers.calls).toEqual([
      ...["connect", "versions", "metadata events"],
      ...["produce acks -1", "produce acks -1", "produce acks -1"],
    ]);
    await expect.poll(() => brokers.connections, { timeout: 5_000 }).toBe(0);
    expect(results(await send())).toEqual(Array(20).fill("delivered"));
  });

  test("a connection that waits for its next use runs no timers", async () => {
    const brokers = await brokersOf();
    await sender(brokers)();
    const timers = vi.spyOn(globalThis, "setTimeout");
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const until = performance.now() + 30;
    while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
    const started = timers.mock.calls.length;
    timers.mockRestore();
    expect(started).toBe(0);
    expect(brokers.connections).toBe(1);
  });

  test("a connection that the broker has closed is replaced", async () => {
    let drop = true;
    const brokers = await brokersOf({ produce: () => (drop ? "drop" : 0) });
    const send = sender(brokers);
    expect((await send())[0]).toMatchObject({
      result: "retry",
      reason: expect.stringContaining("closed the connection"),
    });
    drop = false;
    expect(results(await send())).toEqual(Array(20).fill("delivered"));
  });

  test("only the partitions that failed are tried again, after a look at where they are now", async () => {
    let moved = true;
    const brokers = await brokersOf({ produce: ({ partition }) => (moved && partition === 1 ? 6 : 0) });
    const send = sender(brokers);
    const events = lines(20);
    const outcomes = await send(events);
    for (const [n, outcome] of outcomes.entries()) {
      const failed = partitionOf(`phc_acme:user-${n % 7}`, 3) === 1;
      expect(outcome).toMatchObject(failed ? { result: "retry", status: 6 } : { result: "delivered" });
    }
    moved = false;
    await send(events.filter((_, n) => outcomes[n]?.result === "retry"));
    expect(brokers.calls.filter((call) => call.startsWith("metadata"))).toHaveLength(2);
    expect([...brokers.records("events").values()].flat()).toHaveLength(20);
  });

  test("a broker that is gone holds back what it leads, and nothing else", async () => {
    const brokers = await brokersOf({ brokers: 2, produce: ({ broker }) => (broker === 1 ? "drop" : 0) });
    const outcomes = await sender(brokers)();
    for (const [n, outcome] of outcomes.entries()) {
      const led = partitionOf(`phc_acme:user-${n % 7}`, 3) === 1;
      expect(outcome.result).toBe(led ? "retry" : "delivered");
    }
  });

  test("a batch that is too large is cut until only the record that is too large dies", async () => {
    const brokers = await brokersOf({ produce: ({ bytes }) => (bytes > 3_000 ? 10 : 0), topics: { events: 1 } });
    const events = lines(20).map((one, n) => (n === 11 ? line(n, "user-4", { text: "x".repeat(4_000) }) : one));
    const outcomes = await sender(brokers)(events);
    expect(results(outcomes)).toEqual(events.map((_, n) => (n === 11 ? "dead" : "delivered")));
    expect(outcomes[11]).toMatchObject({ status: 10, reason: expect.stringContaining("max.message.bytes") });
    const written = brokers
      .records("events")
      .get(0)
      ?.map(({ value }) => value);
    expect(written).toEqual(events.filter((_, n) => n !== 11));
  });

  test("what follows the half of a batch that is to be tried again waits with it", async () => {
    let asked = 0;
    const brokers = await brokersOf({
      topics: { events: 1 },
      produce: ({ records }) => (records.length === 4 ? 10 : ++asked === 1 ? 19 : 0),
    });
    expect(results(await sender(brokers)(lines(4)))).toEqual(Array(4).fill("retry"));
    expect(brokers.written).toEqual([]);
  });

  test.each([
    [3, "retry", 'does not know the topic "events": create it'],
    [19, "retry", "NOT_ENOUGH_REPLICAS"],
    [29, "retry", 'lets nobody without credentials write to the topic "events"'],
    [76, "retry", "correct acks or compression"],
    [87, "dead", "refuses the record"],
    [999, "retry", "code 999"],
  ])("code %i is %s, with the reason", async (code, result, reason) => {
    const brokers = await brokersOf({ produce: () => code });
    const outcomes = await sender(brokers)();
    expect(outcomes).toMatchObject(
      outcomes.map(() => ({ result, status: code, reason: expect.stringContaining(reason) })),
    );
  });

  test("quotas throttle", async () => {
    const brokers = await brokersOf({ produce: () => 89 });
    expect((await sender(brokers)())[0]).toMatchObject({ result: "retry", throttled: true });
  });

  test("an unknown topic of the script's fails its own records; one that may not be written to makes dead letters", async () => {
    const brokers = await brokersOf({ metadata: (topic) => ({ events: 0, secret: 29 })[topic] ?? 3 });
    const events = [line(1), aShapedLine({ topic: "secret" }), aShapedLine({ topic: "later" }), line(2)];
    expect(await sender(brokers)(events, true)).toMatchObject([
      { result: "delivered" },
      { result: "dead", status: 29 },
      { result: "retry", status: 3 },
      { result: "delivered" },
    ]);
  });

  test("a topic may be named after the team and the token", async () => {
    const brokers = await brokersOf({ topics: { "acme.phc_acme": 1 } });
    await sender(brokers, { topic: "{team}.{token}" })(lines(2));
    expect([...brokers.records("acme.phc_acme").values()].flat()).toHaveLength(2);
  });

  test("records without a key share a partition for a request, and another for the next", async () => {
    const brokers = await brokersOf();
    const send = sender(brokers, { key: "" });
    for (let n = 0; n < 3; n++) await send(lines(5));
    expect(brokers.written.map(({ partition, records }) => [partition, records.length])).toEqual([
      [0, 5],
      [1, 5],
      [2, 5],
    ]);
    expect(brokers.written[0]?.records[0]?.key).toBeNull();
  });

  test("no answer in time closes the connection, and the next attempt has its own", async () => {
    let hang = true;
    const brokers = await brokersOf({ produce: () => (hang ? "hang" : 0) });
    const send = sender(brokers, { timeout_ms: 300 });
    expect((await send())[0]).toMatchObject({
      result: "retry",
      reason: expect.stringContaining("did not answer in time"),
    });
    await expect.poll(() => brokers.connections).toBe(0);
    hang = false;
    expect(results(await send())).toEqual(Array(20).fill("delivered"));
  });

  test("of several brokers the first that answers is asked", async () => {
    const brokers = await brokersOf();
    const outcomes = await sender(brokers, { brokers: ["127.0.0.1:9", brokers.addresses[0]] })();
    expect(results(outcomes)).toEqual(Array(20).fill("delivered"));
  });

  test("a broker that says nothing costs one attempt: the next one asks another", async () => {
    const brokers = await brokersOf({ brokers: 2, answers: (broker) => broker !== 0 });
    const send = sender(brokers, { brokers: brokers.addresses, timeout_ms: 300 });
    expect((await send())[0]).toMatchObject({ reason: `${brokers.addresses[0]} did not answer in time` });
    const outcomes = await send();
    const ledBySecond = outcomes.map((_, n) => partitionOf(`phc_acme:user-${n % 7}`, 3) === 1);
    expect(outcomes.map(({ result }) => result === "delivered")).toEqual(ledBySecond);
  });

  test("where none answers the reason names one, and no secret (invariant 8)", async () => {
    const sasl = { mechanism: "plain" };
    const settings = { protocol: "tcp", brokers: ["127.0.0.1:9"], topic: "events", sasl };
    const [outcome] = await deliver("kafka", settings, SASL);
    expect(outcome).toMatchObject({ result: "retry", reason: expect.stringContaining("127.0.0.1:9") });
    for (const secret of Object.values(SASL)) expect(JSON.stringify(outcome)).not.toContain(secret);
  });

  test.each([
    [{ acks: 0 }, "acks"],
    [{ compression: "snappy" }, "compression"],
    [{ brokers: [] }, "brokers"],
    [{ brokers: ["no-port"] }, "brokers"],
    [{ sasl: { mechanism: "gssapi", username: "u", password: "p" } }, "sasl"],
    [{ topic: "{event}" }, "topic"],
    [{ headers: { a: "{nobody}" } }, "headers"],
    [{ url: "https://kafka.test" }, undefined],
  ])("settings %j are refused", (wrong, field) => {
    const settings = { protocol: "tcp", brokers: ["kafka:9092"], topic: "events", ...wrong };
    expect(kafka.settings.safeParse(settings).error?.issues[0]?.path[0]).toBe(field);
  });
});
