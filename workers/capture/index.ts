import { env as globalEnv, waitUntil } from "cloudflare:workers";
import { systemClock } from "../../shared/clock.ts";
import { logLine } from "../../shared/log.ts";
import { createSnapshotReader, snapshotTtl } from "../../shared/snapshot-reader.ts";
import { laneStub } from "../../shared/stubs.ts";
import { sweep } from "../../shared/sweep.ts";
import { runtimeTimer } from "../../shared/timer.ts";
import type { CaptureEnv } from "./env.ts";
import { GroupCommit } from "./group-commit.ts";
import { hostEndpoints } from "./host-endpoints/registry.ts";
import { upstreamOf } from "./host-endpoints/upstream.ts";
import { createIngress } from "./ingress.ts";
import { OpenedSecrets } from "./opened-secrets.ts";
import { parsePrefixes } from "./prefixes.ts";
import { RefusedCounts } from "./refused-counts.ts";
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

const commit = new GroupCommit({ append: (append) => refused.append(append), timer: runtimeTimer });

const secrets = new OpenedSecrets((sealed) => env.DELIVER.open(sealed));

const ingress = createIngress({
  resolve: (token) => reader.token(token),
  append: (target, events, limits) => storeEvents(target, events, { commit, limits, waitUntil }),
  refused: (target, counts) => refused.count(laneOfCounts(target), counts, waitUntil),
  openSecret: (sealed) => secrets.open(sealed),
  clock: systemClock,
  fillRandom: (bytes) => crypto.getRandomValues(bytes),
  timer: runtimeTimer,
  log: (record) => logLine({ ...record }),
  endpoints: hostEndpoints(
    upstreamOf(env, {
      fetch: (request) => fetch(request, { signal: AbortSignal.timeout(UPSTREAM_TIMEOUT_MS) }),
      cache: caches.default,
      waitUntil,
    }),
  ),
  prefixes: parsePrefixes(env.CAPTURE_PREFIXES),
});

export default {
  fetch: (request) => ingress.fetch(request),
  /** Wakes every lane: alarms can be lost, work must not be. */
  scheduled: async () => {
    const { results } = await env.DB.prepare("SELECT lane FROM lanes").all<{ lane: string }>();
    await sweep(results, ({ lane }) => laneStub(env.LANES, lane).wake(), "lane");
  },
} satisfies ExportedHandler<CaptureEnv>;
