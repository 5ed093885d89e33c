import { z } from "zod";
import { commonSettings, timeoutSetting, urlSetting } from "./common-settings.ts";
import { keyTemplateProblem } from "./kafka-record.ts";
import { TOPIC_NAME } from "./topic-name.ts";

/** What every Kafka protocol over HTTP is set with. */
export const kafkaFields = {
  url: urlSetting.describe("Address of the HTTP front of the Kafka cluster, without the topic"),
  topic: z
    .string()
    .regex(TOPIC_NAME, "must be a Kafka topic name: letters, digits, '.', '_' and '-'")
    .describe("Topic that every event is written to"),
  key: z
    .string()
    .superRefine((template, ctx) => {
      const problem = keyTemplateProblem(template);
      if (problem !== null) ctx.addIssue({ code: "custom", message: problem });
    })
    .default("{token}:{distinct_id}")
    .describe("Record key, which decides the partition; empty: none"),
  format: z
    .enum(["event", "posthog"])
    .default("event")
    .describe("event: the event's JSON; posthog: PostHog's CapturedEvent"),
  batch: z
    .strictObject({
      max_events: z.int().min(1).max(5_000).default(500).describe("Records in one request"),
      // Kafka's own default refuses more than 1 MB, and base64 and escapes add to it.
      max_bytes: z.int().min(1_000).max(1_000_000).default(500_000).describe("Bytes of events in one request"),
      max_wait_ms: z.int().min(0).max(60_000).default(100).describe("How long a request may wait to be filled"),
    })
    .prefault({}),
  timeout_ms: timeoutSetting,
  ...commonSettings,
};

export const basicAuth = z.strictObject({
  username: z.string().describe("User name of the Authorization header; secret"),
  password: z.string().describe("Password of the Authorization header; secret"),
});

const shape = z.object({ ...kafkaFields, auth: basicAuth.optional() });

/** What the protocols share. */
export type KafkaSettings = z.infer<typeof shape>;
