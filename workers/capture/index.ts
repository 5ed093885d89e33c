import { env as globalEnv, waitUntil } from "cloudflare:workers";
import { systemClock } from "../../shared/clock.ts";
import type { Event } from "../../shared/event.ts";
import { logLine } from "../../shared/log.ts";
import { createSnapshotReader, snapshotTtl } from "../../shared/snapshot-reader.ts";
import { laneStub } from "../../shared/stubs.ts";
import { sweep } from "../../shared/sweep.ts";
import { runtimeTimer } from "../../shared/timer.ts";
import type { Target } from "./accept.ts";
import { clientReader } from "./client.ts";
import { dedupeWindowS, storeOnce } from "./dedupe.ts";
import type { CaptureEnv } from "./env.ts";
import { GeoFile } from "./geoip/geo-file.ts";
import { GroupCommit } from "./group-commit.ts";
import { hostEndpoints } from "./host-endpoints/registry.ts";
import { upstreamOf } from "./host-endpoints/upstream.ts";
import { createIngress } from "./ingress.ts";
import { OpenedSecrets } from "./opened-secrets.ts";
import { parsePrefixes } from "./prefixes.ts";
import { proxiesOf } from "./proxies.ts";
import { DailyQuotas } from "./quota/daily-quotas.ts";
import { quotaVerdict } from "./quota/quota.ts";
import { RedisLimits } from "./quota/redis-limits.ts";
import { redisClientOf } from "./redis-client.ts";
import { RedisLink } from "./redis-link.ts";
import { RefusedCounts } from "./refused-counts.ts";
import { countRefused } from "./rules.ts";
import { laneOfCounts, storeEvents } from "./store-events.ts";

export { LaneObject } from "./lane-object.ts";

const env = globalEnv as unknown as CaptureEnv;

/** SDKs ask for flags while a page waits for them; past this an answer is of no use. */
const UPSTREAM_TIMEOUT_MS = 5_000;

const reader = createSnapshotReader({
  kv: env.SNAPSHOTS,
  db: env.DB,
  clock: systemClock,
  ...snapshotTtl(env),
});

const refused = new RefusedCounts({
  append: (append) => laneStub(env.LANES, append.lane).append(append),
  timer: runtimeTimer,
  clock: systemClock,
  log: (record) => logLine({ ...record }),
});

const redis = redisClientOf(env);
const redisLink = new RedisLink({ clock: systemClock, log: (record) => logLine({ ...record }) });
const dedupeS = dedupeWindowS(env.DEDUPE_WINDOW_S);

const quotaDeps = { clock: systemClock, timer: runtimeTimer, log: (record: object) => logLine({ ...record }) };
const redisLimits = redis === null ? null : new RedisLimits({ scored: redis.scored, ...quotaDeps });
const daily = new DailyQuotas({ usage: (lane) => laneStub(env.LANES, lane).usage(), ...quotaDeps });

const commit = new GroupCommit({
  append: async (append) => {
    const appended = await refused.append(append);
    if (appended.usage !== undefined) daily.learn(append.lane, appended.usage);
    return appended;
  },
  timer: runtimeTimer,
});

/** Leaves out what a lane is known to have, where that can be known. */
async function storeUnknown(
  target: Target,
  events: Event[],
  minted: ReadonlySet<string>,
  store: (events: Event[]) => Promise<void>,
): Promise<void> {
  if (redis === null || dedupeS === 0 || target.team === null) return store(events);
  const deps = { redis, link: redisLink, windowS: dedupeS, waitUntil };
  const duplicates = await storeOnce(target.team, events, minted, store, deps);
  if (duplicates.length === 0) return;
  const counts = countRefused(new Map(duplicates.map((event) => [event, "duplicate"] as const)));
  refused.count(laneOfCounts(target), counts, waitUntil);
}

const secrets = new OpenedSecrets((sealed) => env.DELIVER.open(sealed));

const client = clientReader(proxiesOf(env));

const geoFile =
  env.GEOIP === undefined || env.GEOIP_FILE === undefined
    ? null
    : new GeoFile({
        files: env.GEOIP,
        name: env.GEOIP_FILE.name,
        clock: systemClock,
        timer: runtimeTimer,
        waitUntil,
        log: (record) => logLine({ ...record, stage: "capture" }),
      });

const ingress = createIngress({
  resolve: (token) => reader.token(token),
  append: (target, events, limits, minted) =>
    storeUnknown(target, events, minted, (fresh) => storeEvents(target, fresh, { commit, limits, waitUntil })),
  quota: (target, events) => quotaVerdict(target, events, { redis: redisLimits, daily, waitUntil }),
  refused: (target, counts) => refused.count(laneOfCounts(target), counts, waitUntil),
  openSecret: (sealed) => secrets.open(sealed),
  ...(geoFile === null ? {} : { places: () => geoFile.lookup() }),
  clock: systemClock,
  fillRandom: (bytes) => crypto.getRandomValues(bytes),
  timer: runtimeTimer,
  log: (record) => logLine({ ...record }),
  endpoints: hostEndpoints(
    upstreamOf(env, {
      client,
      fetch: (request) => fetch(request, { signal: AbortSignal.timeout(UPSTREAM_TIMEOUT_MS) }),
      cache: caches.default,
      waitUntil,
    }),
  ),
  prefixes: parsePrefixes(env.CAPTURE_PREFIXES),
  client,
});

export default {
  fetch: (request) => ingress.fetch(request),
  /** Wakes every lane: alarms can be lost, work must not be. */
  scheduled: async () => {
    // Before the first event, so that it need not wait for the file.
    await geoFile?.lookup();
    const { results } = await env.DB.prepare("SELECT lane FROM lanes").all<{ lane: string }>();
    await sweep(results, ({ lane }) => laneStub(env.LANES, lane).wake(), "lane");
  },
} satisfies ExportedHandler<CaptureEnv>;
