import { afterEach, expect, it } from "vitest";
import { BatchTemplate } from "../../bench/events.ts";
import { load } from "../../bench/load.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

/** Events behind the dead destination; CI takes a million. */
const EVENTS = Number(process.env.BACKLOG_EVENTS ?? 100_000);
const BATCH = 100;
const TOKEN = "phc_bench";
/** What the whole core process may hold, whatever the backlog. */
const MAX_RESIDENT_BYTES = 512 * 1024 * 1024;
/** While it drains at full speed the garbage collector comes late; more than this would be a leak. */
const MAX_DRAINING_BYTES = 768 * 1024 * 1024;
const TIMEOUT_MS = 20 * 60_000;

let headwater: Headwater | undefined;
let sink: WebhookSink | undefined;
afterEach(async () => {
  await headwater?.stop();
  await sink?.stop();
});

it(
  `${EVENTS} events behind a dead destination cost no memory, and all of them arrive once it is back`,
  async () => {
    sink = await startWebhookSink({ keep: "counts" });
    sink.behave({ kind: "status", status: 500 });
    const hook = { id: "hook", kind: "webhook", url: sink.url, batch: { max_events: BATCH, max_wait_ms: 50 } };
    const destinations = [{ ...hook, retry: { max_delay_ms: 2_000 } }];
    const script = {
      id: "script",
      code: "export const transform = (event) => { event.properties.seen = true; return event; };",
    };
    headwater = await startHeadwater({
      config: { teams: [{ id: "acme", tokens: [TOKEN], transformations: [script], destinations }] },
    });
    const template = new BatchTemplate(headwater.capture, TOKEN, BATCH);
    const sent = await load({
      url: headwater.capture,
      connections: 16,
      count: EVENTS / BATCH,
      request: template.next,
    });
    expect(sent.statuses).toEqual({ 200: EVENTS / BATCH });
    const book = await until(
      async () => {
        const flow = await headwater?.flow("acme");
        return flow?.hook?.pending === EVENTS ? flow.hook : null;
      },
      { timeoutMs: 60_000, describe: () => "not all events are pending" },
    );
    expect(imbalance(book)).toBe(0);
    const backlogged = headwater.rss().core;
    sink.behave({ kind: "ok" });
    const books = await headwater.waitForQuiet("acme", ["hook"], { accepted: EVENTS, timeoutMs: TIMEOUT_MS / 2 });
    expect(books.hook).toMatchObject({ accepted: EVENTS, delivered: EVENTS });
    const drained = headwater.rss().core;
    const mib = (bytes: number) => Math.round(bytes / 1024 ** 2);
    console.log(
      `core process, MiB resident: ${mib(backlogged.residentBytes)} with the backlog, peak ${mib(drained.peakBytes)}`,
    );
    expect(backlogged.peakBytes).toBeLessThan(MAX_RESIDENT_BYTES);
    expect(drained.peakBytes).toBeLessThan(MAX_DRAINING_BYTES);
  },
  TIMEOUT_MS,
);
