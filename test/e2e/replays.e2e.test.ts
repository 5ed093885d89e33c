import { afterEach, expect, it } from "vitest";
import { BatchTemplate } from "../../bench/events.ts";
import { load } from "../../bench/load.ts";
import type { DeadLetter } from "../../shared/outbox-api.ts";
import type { ReplayStatus } from "../../shared/replay-api.ts";
import { anS3Server, S3_KEY, type S3Server } from "../../workers/deliver/testing/s3-server.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

/** Dead letters that are replayed; CI takes a hundred thousand. */
const LETTERS = Number(process.env.REPLAY_LETTERS ?? 10_000);
const BATCH = 100;
const TOKEN = "phc_acme";
/** What the whole core process may hold, however many letters there are: at full speed the garbage collector comes late. */
const MAX_RESIDENT_BYTES = 768 * 1024 * 1024;
const TIMEOUT_MS = 10 * 60_000;

let headwater: Headwater | undefined;
const open: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  await headwater?.stop();
  for (const one of open.splice(0)) await one.stop();
});

const aSink = async (): Promise<WebhookSink> => {
  const sink = await startWebhookSink({ keep: "uuids" });
  open.push(sink);
  return sink;
};

const aStore = async (): Promise<S3Server> => {
  const store = await anS3Server("archive");
  open.push({ stop: () => store.close() });
  return store;
};

async function sendBatches(count: number): Promise<void> {
  const template = new BatchTemplate(headwater!.capture, TOKEN, BATCH);
  const sent = await load({
    url: headwater!.capture,
    connections: 4,
    count: count / BATCH,
    request: template.next,
  });
  expect(sent.statuses).toEqual({ 200: count / BATCH });
}

const post = <T>(path: string, body: unknown = {}) => headwater!.api<T>("POST", `/api/teams/acme/${path}`, body);
const ended = (id: string) =>
  until(
    async () => {
      const { replay } = await headwater!.api<{ replay: ReplayStatus }>("GET", `/api/teams/acme/replays/${id}`);
      return replay.state === "running" ? null : replay;
    },
    { timeoutMs: 120_000, describe: () => `replay ${id} runs` },
  );

it(
  "a pause, a replay of the lanes' events and one of an archive, over a kill -9 (invariants 2, 5, 7)",
  async () => {
    const [hook, spare, told, store] = [await aSink(), await aSink(), await aSink(), await aStore()];
    const webhook = (id: string, sink: WebhookSink) => {
      return { id, kind: "webhook", url: sink.url, batch: { max_events: BATCH, max_wait_ms: 20 } };
    };
    const archive = { id: "arc", kind: "s3", endpoint: store.url, bucket: "archive", ...S3_KEY };
    headwater = await startHeadwater({
      config: {
        teams: [
          {
            ...{ id: "acme", tokens: [TOKEN], notifications: { url: told.url } },
            destinations: [
              webhook("hook", hook),
              { ...webhook("spare", spare), filter: { event: { eq: "none has this name" } } },
              { ...archive, batch: { max_events: 150, max_wait_ms: 200 } },
            ],
          },
        ],
      },
    });
    const since = new Date(Date.now() - 1_000).toISOString();
    await post("destinations/hook/pause", { reason: "the receiver moves" });
    await sendBatches(500);
    await headwater.waitForQuiet("acme", ["arc"], { accepted: 500 });
    await headwater.killTree();
    await headwater.restart();
    expect(hook.deliveries).toEqual([]);
    await post("destinations/hook/resume");
    await headwater.waitForQuiet("acme", ["hook", "spare"], { accepted: 500 });
    const sent = hook.deliveries.flatMap(({ uuids }) => uuids);
    expect(new Set(sent).size).toBe(500);
    expect(store.objects.size).toBeLessThanOrEqual(20);

    // Once more from the lanes: the same events under the same uuids, counted once more.
    const until_ = new Date(Date.now() + 1_000).toISOString();
    const lanes = await post<{ replay: ReplayStatus }>("replay", { destination: "hook", since, until: until_ });
    expect(await ended(lanes.replay.id)).toMatchObject({ from: "lane", state: "done", total: 500, replayed: 500 });
    const afterLanes = await headwater.waitForQuiet("acme", ["hook"], { accepted: 1_000 });
    expect(afterLanes.hook).toMatchObject({ accepted: 1_000, delivered: 1_000 });

    // And from the archive, into a destination whose filter takes none, and one whose filter takes all.
    const range = { since, until: until_, from: "arc" };
    const arc = await post<{ replay: ReplayStatus }>("replay", { destination: "hook", ...range });
    expect(await ended(arc.replay.id)).toMatchObject({ from: "archive", state: "done", seen: 500, replayed: 500 });
    const none = await post<{ replay: ReplayStatus }>("replay", { destination: "spare", ...range });
    expect(await ended(none.replay.id)).toMatchObject({ replayed: 500 });
    const books = await headwater.waitForQuiet("acme", ["hook", "spare"], { accepted: 1_500 - 500 });
    await until(async () => (await headwater!.flow("acme")).hook?.delivered === 1_500 || null, {
      ...{ timeoutMs: 20_000, describe: () => "not all were delivered" },
    });
    expect(books.spare).toMatchObject({ accepted: 1_000, filtered: 1_000, delivered: 0 });
    const counts = new Map<string, number>();
    for (const { uuids } of hook.deliveries) for (const uuid of uuids) counts.set(uuid, (counts.get(uuid) ?? 0) + 1);
    expect([...counts.keys()].toSorted()).toEqual([...new Set(sent)].toSorted());
    expect([...counts.values()].every((times) => times === 3)).toBe(true);
    for (const book of Object.values(await headwater.flow("acme"))) expect(imbalance(book)).toBe(0);

    // A destination that says that it is gone: the team is told.
    hook.behave({ kind: "status", status: 410 });
    await sendBatches(100);
    await until(async () => (told.deliveries.length > 0 ? true : null), {
      ...{ timeoutMs: 20_000, describe: () => "nobody was told" },
    });
    hook.behave({ kind: "ok" });
    await post("destinations/hook/resume");
    await headwater.waitForQuiet("acme", ["hook"], { accepted: 1_600 });
    await until(async () => (told.deliveries.length > 1 ? true : null), {
      ...{ timeoutMs: 20_000, describe: () => "nobody was told of the recovery" },
    });
  },
  TIMEOUT_MS,
);

it(
  `${LETTERS} dead letters are exported, and replayed elsewhere and here, in little memory`,
  async () => {
    const [hook, other] = [await aSink(), await aSink()];
    hook.behave({ kind: "status", status: 400 });
    const batch = { max_events: BATCH, max_wait_ms: 50 };
    const settings = { kind: "webhook", batch, filter: { event: { eq: "none" } } };
    headwater = await startHeadwater({
      config: {
        teams: [
          {
            ...{ id: "acme", tokens: [TOKEN] },
            destinations: [
              { id: "hook", kind: "webhook", url: hook.url, batch },
              { id: "other", url: other.url, ...settings },
            ],
          },
        ],
      },
    });
    await sendBatches(LETTERS);
    const books = await headwater.waitForQuiet("acme", ["hook"], { accepted: LETTERS, timeoutMs: 240_000 });
    expect(books.hook).toMatchObject({ dead: LETTERS });
    headwater.resetPeak();

    const exported = await fetch(new URL("/api/teams/acme/dead-letters/export?destination=hook", headwater.console), {
      headers: { authorization: `Bearer ${headwater.adminToken}` },
    });
    const lines = (await exported.text()).trimEnd().split("\n");
    expect(lines.length).toBe(LETTERS);
    const half = (JSON.parse(lines[LETTERS / 2] as string) as DeadLetter).died_at;

    const started = Date.now();
    const moved = await post<{ replay: ReplayStatus }>("dead-letters/replay", {
      ...{ destination: "hook", to: "other", until: half },
    });
    const elsewhere = await ended(moved.replay.id);
    hook.behave({ kind: "ok" });
    const here = await post<{ replay: ReplayStatus }>("dead-letters/replay", { destination: "hook" });
    const back = await ended(here.replay.id);
    const tookMs = Date.now() - started;
    expect(elsewhere.replayed + back.replayed).toBe(LETTERS);
    const after = await headwater.waitForQuiet("acme", ["hook", "other"], { accepted: LETTERS, timeoutMs: 240_000 });
    expect(after.hook).toMatchObject({
      accepted: LETTERS,
      delivered: back.replayed,
      dropped: elsewhere.replayed,
      dead: 0,
    });
    expect(after.other).toMatchObject({ delivered: elsewhere.replayed, filtered: LETTERS });
    for (const book of Object.values(after)) expect(imbalance(book)).toBe(0);
    const { peakBytes } = headwater.rss().core;
    console.log(`${LETTERS} dead letters replayed in ${tookMs} ms, core peak ${Math.round(peakBytes / 1024 ** 2)} MiB`);
    expect(peakBytes).toBeLessThan(MAX_RESIDENT_BYTES);
  },
  TIMEOUT_MS,
);
