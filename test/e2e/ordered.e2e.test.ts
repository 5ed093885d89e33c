import { afterEach, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import { anHttpSink, type HttpSink, type Reply } from "../../workers/deliver/testing/http-sink.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";

const USERS = 50;
const EVENTS_PER_USER = 40;
const TOTAL = USERS * EVENTS_PER_USER;
/** Answers in turn; never five failures in a row, which would open the breaker and only cost time. */
const ROUND: readonly (Reply | "hang" | "drop")[] = [
  { status: 500 },
  {},
  {},
  "hang",
  {},
  { status: 429, headers: { "retry-after": "0.05" } },
  {},
  { status: 503, headers: { "retry-after": "0.2" } },
  {},
  "drop",
  {},
];
/** A time-out costs its whole time: one round in four has one. */
const SCRIPT = Array.from({ length: 4 }, (_, round) =>
  ROUND.map((answer) => (answer === "hang" && round > 0 ? { status: 502 } : answer)),
).flat();

let headwater: Headwater | undefined;
let sink: HttpSink | undefined;
afterEach(async () => {
  await headwater?.stop();
  await sink?.close();
});

it.each([1, 5])(
  `${USERS} users' events come in order, none is skipped, whatever the receiver answers and through a kill -9, %i a request (invariant 3)`,
  async (maxEvents) => {
    const receiver = new Receiver();
    sink = await anHttpSink(({ body }) => receiver.answer(body));
    const batch = { max_events: maxEvents, max_wait_ms: 20 };
    const retry = { base_ms: 20, max_delay_ms: 100 };
    const hook = { id: "hook", kind: "webhook", url: sink.url, ordered: true, concurrency: 4, timeout_ms: 400 };
    headwater = await startHeadwater({
      config: { teams: [{ id: "acme", tokens: ["phc_acme"], destinations: [{ ...hook, batch, retry }] }] },
    });
    for (let n = 0; n < EVENTS_PER_USER; n++) {
      const events = Array.from({ length: USERS }, (_, user) => ({
        ...{ event: "step", distinct_id: `user-${user}`, properties: { n } },
      }));
      expect((await headwater.send({ api_key: "phc_acme", batch: events })).status).toBe(200);
    }
    await until(() => receiver.taken >= TOTAL / 3, {
      timeoutMs: 120_000,
      describe: () => `${receiver.taken} of ${TOTAL} taken`,
    });
    await headwater.killTree();
    await headwater.restart();
    const { hook: book } = await headwater.waitForQuiet("acme", ["hook"], { accepted: TOTAL, timeoutMs: 240_000 });
    console.log(`${receiver.requests} requests, ${receiver.refused} of them not taken`);
    expect(receiver.problems).toEqual([]);
    expect(receiver.next.size).toBe(USERS);
    expect([...receiver.next.values()].every((next) => next === EVENTS_PER_USER)).toBe(true);
    expect(book).toMatchObject({ accepted: TOTAL, delivered: TOTAL, dead: 0, pending: 0 });
    expect(imbalance(book!)).toBe(0);
    expect(receiver.refused).toBeGreaterThan(receiver.requests / 4);
  },
  480_000,
);

/** Answers by the script and watches the order of every arrival, whatever it answers. */
class Receiver {
  /** Of each user: the first event that has not been taken. */
  readonly next = new Map<string, number>();
  readonly problems: string[] = [];
  requests = 0;
  refused = 0;
  taken = 0;

  answer(body: string): Reply | "hang" | "drop" {
    const answer = SCRIPT[this.requests++ % SCRIPT.length] as Reply | "hang" | "drop";
    const isTaken = typeof answer === "object" && (answer.status ?? 200) < 300;
    if (!isTaken) this.refused++;
    const parsed = JSON.parse(body) as Event | Event[];
    const events = Array.isArray(parsed) ? parsed : [parsed];
    const seen = new Map(this.next);
    for (const { distinct_id: user, properties } of events) {
      const [n, next] = [properties.n as number, seen.get(user) ?? 0];
      if (n > next) this.problems.push(`${user}: ${n} came before ${next} was taken`);
      seen.set(user, Math.max(next, n + 1));
    }
    if (!isTaken) return answer;
    for (const [user, next] of seen) {
      this.taken += next - (this.next.get(user) ?? 0);
      this.next.set(user, next);
    }
    return answer;
  }
}
