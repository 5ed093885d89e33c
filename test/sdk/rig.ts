import type { Event } from "../../shared/event.ts";
import { type Headwater, startHeadwater } from "../e2e/headwater.ts";
import { until } from "../e2e/wait.ts";
import { startWebhookSink, type WebhookSink } from "../e2e/webhook-sink.ts";
import { arrived } from "./arrival.ts";
import { type Front, startFront } from "./front.ts";

/** Jitsu's SDK takes no write key without a colon. */
export const JITSU_KEY = "acme:secret";
export const WRITE_KEY = "phc_acme";

/** The product between a proxy in front and a webhook behind. */
export interface Rig {
  front: Front;
  sink: WebhookSink;
  /** What has arrived once each predicate has an event that satisfies it. */
  arrivedWith(...predicates: ((event: Event) => boolean)[]): Promise<Event[]>;
  stop(): Promise<void>;
}

export async function startRig(): Promise<Rig> {
  const sink = await startWebhookSink();
  const headwater: Headwater = await startHeadwater({
    env: { HEADWATER_VAR_CAPTURE_PREFIXES: "/ingest" },
    config: {
      teams: [
        {
          id: "acme",
          tokens: [WRITE_KEY, JITSU_KEY],
          destinations: [{ id: "hook", kind: "webhook", url: sink.url, batch: { max_wait_ms: 50 } }],
        },
      ],
    },
  });
  const front = await startFront(headwater.capture);
  return {
    front,
    sink,
    async arrivedWith(...predicates) {
      const all = () => sink.accepted.flatMap(({ events }) => events);
      await until(() => predicates.every((predicate) => all().some(predicate)), {
        timeoutMs: 30_000,
        describe: () => `waiting for an event; there are ${JSON.stringify(all().map(({ event }) => event))}`,
      });
      return arrived(sink);
    },
    stop: async () => {
      await front.stop();
      await headwater.stop();
      await sink.stop();
    },
  };
}
