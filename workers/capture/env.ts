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
  /** Bytes of events that a lane holds for the pump before it refuses more. */
  LANE_BACKLOG_BYTES?: string;
  /** Events that a lane takes beyond what its pump has processed before appends wait for the pump. */
  ADMISSION_FREE_EVENTS?: string;
  /** The replay window: bytes of events that a lane keeps once they are processed. */
  LANE_RETAIN_BYTES?: string;
}
