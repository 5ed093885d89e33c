/** Bindings of the deliver worker (wrangler.toml, env.deliver). */
export interface DeliverEnv {
  OUTBOXES: DurableObjectNamespace;
  DB: D1Database;
  SNAPSHOTS: KVNamespace;
  /** Runs a destination's own script again, in a replay. */
  SANDBOX: Fetcher;
  /** The network that destinations are reached through; absent on Cloudflare. */
  EGRESS?: Fetcher;
  /** How long an isolate keeps a snapshot, in milliseconds. */
  SNAPSHOT_TTL_MS?: string;
  /** Secret: base64 of 32 random bytes. */
  SECRET_KEY: string;
}
