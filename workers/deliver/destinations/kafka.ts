import { z } from "zod";
import type { DestinationKind } from "./destination.ts";
import { confluentV2, confluentV2Settings } from "./kafka-confluent-v2.ts";
import { type KafkaProtocol, sendRecords } from "./kafka-send.ts";
import { strimzi, strimziSettings } from "./kafka-strimzi.ts";
import { upstash, upstashSettings } from "./kafka-upstash.ts";

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
  send: (request, config, deps) => sendRecords(request, config, deps, protocols[config.protocol]),
};

const protocols: Record<KafkaDestinationSettings["protocol"], KafkaProtocol> = {
  upstash,
  "confluent-v2": confluentV2,
  strimzi,
};
