import { z } from "zod";
import type { DestinationKind } from "./destination.ts";
import { confluentV2, confluentV2Settings } from "./kafka-confluent-v2.ts";
import { confluentV3, confluentV3Settings } from "./kafka-confluent-v3.ts";
import { type KafkaProtocol, sendRecords } from "./kafka-send.ts";
import { strimzi, strimziSettings } from "./kafka-strimzi.ts";
import { tcp, tcpSettings } from "./kafka-tcp.ts";
import { upstash, upstashSettings } from "./kafka-upstash.ts";

/**
 * Kafka, by its own protocol or over HTTP. Always ordered: one request at a time, and what was not written holds back what comes
 * after. Within one request the records of a key share a partition, hence a fate; where a front fails an earlier record of a key and
 * writes a later one all the same, the earlier one follows it.
 */
const settings = z.discriminatedUnion("protocol", [
  tcpSettings,
  confluentV3Settings,
  confluentV2Settings,
  strimziSettings,
  upstashSettings,
]);

export type KafkaDestinationSettings = z.infer<typeof settings>;
type Protocol = KafkaDestinationSettings["protocol"];

export const kafka: DestinationKind<KafkaDestinationSettings> = {
  kind: "kafka",
  settings,
  secrets: ["auth.username", "auth.password", "sasl.username", "sasl.password"],
  ordered: () => true,
  limits: ({ batch, timeout_ms }) => ({
    maxEvents: batch.max_events,
    maxBytes: batch.max_bytes,
    maxWaitMs: batch.max_wait_ms,
    concurrency: 1,
    timeoutMs: timeout_ms,
  }),
  send: (request, config, deps) =>
    // Each protocol's entry takes the settings that name it.
    sendRecords(request, config, deps, protocols[config.protocol] as KafkaProtocol<KafkaDestinationSettings>),
};

const protocols: { [P in Protocol]: KafkaProtocol<Extract<KafkaDestinationSettings, { protocol: P }>> } = {
  tcp,
  "confluent-v3": confluentV3,
  "confluent-v2": confluentV2,
  strimzi,
  upstash,
};
