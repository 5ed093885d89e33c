import type { Clock } from "../../shared/clock.ts";
import type { DeliverApi } from "../../shared/deliver-api.ts";
import type { LaneApi } from "../../shared/lane-api.ts";
import type { OutboxApi } from "../../shared/outbox-api.ts";
import type { DestinationKind } from "../deliver/destinations/destination.ts";
import type { CompileBundle } from "./compile-snapshot.ts";
import type { ConfigStore } from "./config-store.ts";

/** What the console's routes need of the world. */
export interface ConsoleDeps {
  /** Empty: nobody is let in. */
  adminToken: string;
  store: ConfigStore;
  /** KV: the snapshots that the edge reads. */
  snapshots: KVNamespace;
  objects: Objects;
  deliver: DeliverApi;
  /** Runs scripts that are tried out. */
  sandbox: { fetch: typeof fetch };
  kinds: readonly DestinationKind[];
  compile: CompileBundle;
  clock: Clock;
  /** A new id, different each time. */
  newId: () => string;
}

/** Stubs of objects; a call that takes too long rejects. */
export interface Objects {
  lane(lane: string): LaneApi;
  outbox(team: string, destination: string): OutboxApi;
}
