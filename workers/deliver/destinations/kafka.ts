import { z } from "zod";
import type { DestinationKind, OutboundRequest, SendDeps, Sent } from "./destination.ts";
import { confluentV2Settings, sendConfluentV2 } from "./kafka-confluent-v2.ts";
import { sendStrimzi, strimziSettings } from "./kafka-strimzi.ts";
import { sendUpstash, upstashSettings } from "./kafka-upstash.ts";

/**
 * Kafka over HTTP. Always ordered: one request at a time, and what was not written holds back what comes after. Within one request
 * the records of a key share a partition, hence a fate; where a broker fails an earlier record of a key and writes a later one all
 * the same, the earlier one follows it.
 */
const settings = z.discriminatedUnion("protocol", [upstashSettings, confluentV2Settings, strimziSettings]);

export type KafkaDestinationSettings = z.infer<typeof settings>;

export const kafka: DestinationKind<KafkaDestinationSettings> = {
  kind: "kafka",
  settings,
  secrets: ["auth.username", "auth.password"],
  ordered: () => true,
  limits: ({ batch, timeout_ms }) => ({
    maxEvents: batch.max_events,
    maxBytes: batch.max_bytes,
    maxWaitMs: batch.max_wait_ms,
    concurrency: 1,
    timeoutMs: timeout_ms,
  }),
  send: (request, config, deps) => senders[config.protocol](request, config, deps),
};

const senders: Record<
  KafkaDestinationSettings["protocol"],
  (request: OutboundRequest, settings: KafkaDestinationSettings, deps: SendDeps) => Promise<Sent>
> = { upstash: sendUpstash, "confluent-v2": sendConfluentV2, strimzi: sendStrimzi };
