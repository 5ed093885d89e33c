/** Bindings of the deliver worker (wrangler.toml, env.deliver). */
export interface DeliverEnv {
  OUTBOXES: DurableObjectNamespace;
  DB: D1Database;
  SNAPSHOTS: KVNamespace;
  /** Secret: base64 of 32 random bytes. */
  SECRET_KEY: string;
}
