import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { type Kafka, kafkaAvailable, startKafka } from "./kafka.ts";
import {
  duplicatesIn,
  FailedAttempts,
  type NumberedRecord,
  numbered,
  numberedEvent,
  numberedPostHog,
  PARTITIONS,
  sendNumbered,
  TOKEN,
} from "./kafka-traffic.ts";
import { until } from "./wait.ts";

/** Events through each of both ways; CI takes more. */
const EVENTS = Number(process.env.KAFKA_EVENTS ?? 20_000);
/** The Java producer's own default, and longer than a restart takes. */
const BRIDGE_WAIT_MS = 60_000;
const TIMEOUT_MS = 15 * 60_000;

const is = kafkaAvailable();
let kafka: Kafka;
let headwater: Headwater | undefined;

beforeAll(async () => {
  if (is.available) kafka = await startKafka({ secure: true, bridgeWaitMs: BRIDGE_WAIT_MS });
});
afterEach(async () => {
  await headwater?.stop();
  headwater = undefined;
});
afterAll(() => kafka?.stop());

const RETRY = { base_ms: 100, max_delay_ms: 1_000 };
const team = (destinations: unknown[]) => ({ teams: [{ id: "acme", tokens: [TOKEN], destinations }] });
it(
  `invariants 2, 3 and 5: ${EVENTS} events reach a real Kafka by its own protocol and through a bridge while its broker restarts twice`,
  async (context) => {
    if (!is.available) return context.skip(is.reason);
    for (const topic of ["by-tcp", "by-bridge"]) kafka.createTopic(topic, PARTITIONS);
    const failed = new FailedAttempts();
    const common = { kind: "kafka", retry: RETRY, timeout_ms: 5_000 };
    headwater = await startHeadwater({
      config: team([
        { ...common, id: "tcp", protocol: "tcp", brokers: [kafka.bootstrap], topic: "by-tcp", format: "posthog" },
        { ...common, id: "bridge", protocol: "strimzi", url: kafka.bridge, topic: "by-bridge" },
      ]),
      onOutput: (text) => failed.push(text),
    });
    const running = headwater;
    const started = performance.now();
    const sending = sendNumbered(running, EVENTS);
    const delivered = async () => {
      const { tcp, bridge } = await running.flow("acme");
      return (tcp?.delivered ?? 0) + (bridge?.delivered ?? 0);
    };
    for (const [part, how] of [
      [1 / 5, "killed"],
      [3 / 5, "stopped"],
    ] as const) {
      await until(async () => (await delivered()) >= part * 2 * EVENTS, {
        ...{ timeoutMs: TIMEOUT_MS / 3, everyMs: 20 },
        describe: () => `less than ${part * 2 * EVENTS} events delivered`,
      });
      await kafka.restartBroker(how);
    }
    await sending;
    const books = await running.waitForQuiet("acme", ["tcp", "bridge"], {
      accepted: EVENTS,
      timeoutMs: TIMEOUT_MS / 3,
    });
    const seconds = (performance.now() - started) / 1_000;
    for (const id of ["tcp", "bridge"]) {
      expect(books[id]).toMatchObject({ accepted: EVENTS, delivered: EVENTS, dead: 0, expired: 0 });
      expect(imbalance(books[id]!)).toBe(0);
    }
    console.log(`attempts that failed: ${JSON.stringify(failed.events)}\n${[...failed.reasons].join("\n")}`);
    const byTcp = kafka.consumeAll("by-tcp", { max: 3 * EVENTS }).map(numberedPostHog);
    const byBridge = kafka.consumeAll("by-bridge", { max: 3 * EVENTS }).map(numbered);
    const duplicates = { tcp: duplicatesIn(byTcp, EVENTS), bridge: duplicatesIn(byBridge, EVENTS) };
    console.log(
      `${EVENTS} events each, broker restarted twice, in ${seconds.toFixed(1)} s; duplicates ${JSON.stringify(duplicates)} of ${JSON.stringify(failed.events)} in attempts that failed`,
    );
    // What was not acknowledged may be there twice; nothing else may.
    expect(duplicates.tcp).toBeLessThanOrEqual(failed.events.tcp ?? 0);
    expect(duplicates.bridge).toBeLessThanOrEqual(failed.events.bridge ?? 0);
    expect(failed.events.tcp).toBeGreaterThan(0);
    expectPostHog(byTcp[0]!);
  },
  TIMEOUT_MS,
);

/** What PostHog's ingestion consumer reads: key, headers and value. */
function expectPostHog({ n, record }: NumberedRecord): void {
  const event = numberedEvent(n);
  const { uuid, distinct_id: distinctId, event: name } = event;
  expect(record.key).toBe(`${TOKEN}:${distinctId}`);
  expect(record.headers).toMatchObject({
    ...{ token: TOKEN, distinct_id: distinctId, uuid, event: name, session_id: "s-1" },
    ...{ timestamp: String(Date.parse(event.timestamp)), now: expect.stringMatching(/^\d{4}-/) },
  });
  const { data, ...captured } = JSON.parse(record.value) as Record<string, unknown>;
  expect(captured).toMatchObject({ uuid, distinct_id: distinctId, token: TOKEN, event: name, ip: expect.any(String) });
  expect(JSON.parse(String(data))).toMatchObject({ event: name, distinct_id: distinctId, properties: { n } });
}

describe("Kafka's own protocol", () => {
  const status = async (id: string) => {
    const answer = await headwater!.api<{ destinations: { id: string; status: { lastError: string | null } }[] }>(
      ...(["GET", "/api/teams/acme/destinations"] as const),
    );
    return answer.destinations.find((one) => one.id === id)?.status.lastError ?? null;
  };

  it(
    "logs in with every mechanism, in the clear and over TLS, and compresses",
    async (context) => {
      if (!is.available) return context.skip(is.reason);
      const { sasl, tls, certificate, username, password } = kafka.secure!;
      const mechanisms = ["plain", "scram-sha-256", "scram-sha-512"];
      const ways = mechanisms.flatMap((mechanism) => [
        { id: `sasl-${mechanism}`, brokers: [sasl], tls: false, mechanism },
        { id: `tls-${mechanism}`, brokers: [tls], tls: true, mechanism },
      ]);
      for (const { id } of ways) kafka.createTopic(id, 3);
      headwater = await startHeadwater({
        config: team(
          ways.map(({ id, brokers, tls: secure, mechanism }) => ({
            ...{
              id,
              kind: "kafka",
              protocol: "tcp",
              brokers,
              tls: secure,
              topic: id,
              compression: "gzip",
              retry: RETRY,
            },
            sasl: { mechanism, username, password },
          })),
        ),
        env: { NODE_EXTRA_CA_CERTS: certificate },
      });
      await headwater.send({ api_key: TOKEN, batch: Array.from({ length: 50 }, (_, n) => numberedEvent(n)) });
      const ids = ways.map(({ id }) => id);
      const books = await headwater.waitForQuiet("acme", ids, { accepted: 50, timeoutMs: 60_000 });
      for (const id of ids) expect(books[id]).toMatchObject({ delivered: 50 });
      const read = kafka.consumeAll("tls-scram-sha-512", { max: 50 }).map(numbered);
      expect(read.map(({ n }) => n).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n));
    },
    TIMEOUT_MS,
  );

  it(
    "says what is wrong: credentials, a listener that wants some, a topic that is not there, a record too large",
    async (context) => {
      if (!is.available) return context.skip(is.reason);
      const { sasl, tls, username } = kafka.secure!;
      kafka.createTopic("large", 1);
      const tcp = (id: string, brokers: string, topic: string, extra: object) => ({
        ...{ id, kind: "kafka", protocol: "tcp", brokers: [brokers], topic, timeout_ms: 3_000, retry: RETRY, ...extra },
      });
      const wrong = { mechanism: "scram-sha-256", username, password: "wrong-password" };
      const others = [
        tcp("anonymous", sasl, "large", {}),
        tcp("untrusted", tls, "large", { tls: true, sasl: wrong }),
        tcp("unknown", kafka.bootstrap, "no-such-topic", {}),
        tcp("large", kafka.bootstrap, "large", { format: "posthog" }),
      ];
      headwater = await startHeadwater({ config: team([tcp("password", sasl, "large", { sasl: wrong }), ...others]) });
      const large = { ...numberedEvent(1), properties: { text: '"'.repeat(300_000) } };
      await headwater.send({ api_key: TOKEN, batch: [numberedEvent(0), large, numberedEvent(2)] });
      const expected = {
        password: /refuses the credentials: correct sasl/,
        anonymous: /closed the connection/,
        untrusted: /certificate is not trusted/,
        unknown: /does not know the topic "no-such-topic": create it/,
      };
      for (const [id, reason] of Object.entries(expected)) {
        await expect.poll(() => status(id), { timeout: 20_000 }).toMatch(reason);
        expect(await status(id)).not.toContain("wrong-password");
      }
      const books = await headwater.waitForQuiet("acme", ["large"], { accepted: 3 });
      expect(books.large).toMatchObject({ delivered: 2, dead: 1 });
      const letters = await headwater.deadLetters("acme", "large");
      expect(letters.dead_letters[0]).toMatchObject({
        status: 10,
        reason: expect.stringContaining("max.message.bytes"),
      });
      // The password is corrected, and what waited goes out.
      const { username: user, password } = kafka.secure!;
      const right = { mechanism: "scram-sha-256", username: user, password };
      await headwater.api("PUT", "/api/config", team([tcp("password", sasl, "large", { sasl: right }), ...others]));
      const mended = await headwater.waitForQuiet("acme", ["password"], { accepted: 3 });
      expect(mended.password).toMatchObject({ delivered: 3 });
    },
    TIMEOUT_MS,
  );

  it(
    "connects to no private address in the form for production, unless the operator has allowed it",
    async (context) => {
      if (!is.available) return context.skip(is.reason);
      kafka.createTopic("guarded", 1);
      const config = team([
        {
          ...{
            id: "tcp",
            kind: "kafka",
            protocol: "tcp",
            brokers: [kafka.bootstrap, kafka.secure!.tls],
            topic: "guarded",
          },
          retry: RETRY,
        },
      ]);
      const env = { HEADWATER_ADMIN_TOKEN: "a-token-of-the-operator" };
      headwater = await startHeadwater({ config, env, args: ["--production"] });
      await headwater.send({ api_key: TOKEN, batch: [numberedEvent(0)] });
      await expect
        .poll(() => status("tcp"), { timeout: 20_000 })
        .toMatch(/private address, which needs --allow-private/);
      expect((await headwater.flow("acme")).tcp).toMatchObject({ delivered: 0, pending: 1 });
      await headwater.stop();
      headwater = await startHeadwater({
        ...{ config, env, dataDir: headwater.dataDir },
        args: ["--production", "--allow-private", "127.0.0.0/8"],
      });
      const books = await headwater.waitForQuiet("acme", ["tcp"]);
      expect(books.tcp).toMatchObject({ delivered: 1, pending: 0 });
    },
    TIMEOUT_MS,
  );
});
