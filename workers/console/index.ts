import { systemClock } from "../../shared/clock.ts";
import type { DeliverApi } from "../../shared/deliver-api.ts";
import { runtimeTimer } from "../../shared/timer.ts";
import { destinationKinds } from "../deliver/destinations/registry.ts";
import { compileBundle } from "../transform/compile.ts";
import { ConfigStore } from "./config-store.ts";
import { timedObjects } from "./objects.ts";
import { createRouter } from "./router.ts";

export interface ConsoleEnv {
  DB: D1Database;
  SNAPSHOTS: KVNamespace;
  LANES: DurableObjectNamespace;
  OUTBOXES: DurableObjectNamespace;
  DELIVER: DeliverApi;
  SANDBOX: Fetcher;
  /** Secret. */
  ADMIN_TOKEN?: string;
}

export default {
  fetch(request, env) {
    const router = createRouter({
      adminToken: env.ADMIN_TOKEN ?? "",
      store: new ConfigStore(env.DB),
      snapshots: env.SNAPSHOTS,
      objects: timedObjects(env.LANES, env.OUTBOXES, runtimeTimer),
      deliver: env.DELIVER,
      sandbox: env.SANDBOX,
      kinds: destinationKinds,
      compile: compileBundle,
      clock: systemClock,
      newId: () => crypto.randomUUID(),
    });
    return router.fetch(request);
  },
} satisfies ExportedHandler<ConsoleEnv>;
