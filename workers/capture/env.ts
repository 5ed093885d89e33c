import type { DeliverApi } from "../../shared/deliver-api.ts";

/** Bindings and variables of the capture worker (wrangler.toml, [env.capture]). */
export interface CaptureEnv {
  LANES: DurableObjectNamespace;
  OUTBOXES: DurableObjectNamespace;
  SANDBOX: Fetcher;
  /** Opens the secrets of sources and scripts. */
  DELIVER: Pick<DeliverApi, "open">;
  DB: D1Database;
  SNAPSHOTS: KVNamespace;
  /** How long an isolate keeps a snapshot, in milliseconds. */
  SNAPSHOT_TTL_MS?: string;
  /** Paths under which sites proxy capture, separated by commas, such as `/ingest,/t`. */
  CAPTURE_PREFIXES?: string;
  /** Where PostHog's SDKs get flags and the like from, such as `https://us.i.posthog.com`. */
  UPSTREAM_URL?: string;
  /** Where they get scripts and settings from, such as `https://us-assets.i.posthog.com`; UPSTREAM_URL if absent. */
  UPSTREAM_ASSETS_URL?: string;
  /** Redis over HTTP as Upstash speaks it: quotas in PostHog's format, and dedupe across lanes. Both or neither. */
  UPSTASH_REDIS_REST_URL?: string;
  UPSTASH_REDIS_REST_TOKEN?: string;
  /** How long a uuid is known across lanes, in seconds; 0 for no dedupe there. */
  DEDUPE_WINDOW_S?: string;
  /** Proxies in front of capture, as networks separated by commas, such as `10.0.0.0/8,2001:db8::/32`, or `private`. */
  TRUSTED_PROXIES?: string;
  /** Where they write the client's address: `forwarded`, or a header that lists addresses; `x-forwarded-for` if absent. */
  CLIENT_ADDRESS_HEADER?: string;
  /** On one machine: the folder of the database of places, and the file's name in it. Neither on Cloudflare, which names places itself. */
  GEOIP?: Fetcher;
  GEOIP_FILE?: { name: string };
  /** Bytes of events that a lane holds for the pump before it refuses more. */
  LANE_BACKLOG_BYTES?: string;
  /** Events that a lane takes beyond what its pump has processed before appends wait for the pump. */
  ADMISSION_FREE_EVENTS?: string;
  /** The replay window: bytes of events that a lane keeps once they are processed. */
  LANE_RETAIN_BYTES?: string;
}
