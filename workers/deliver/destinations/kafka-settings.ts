import { z } from "zod";
import { commonSettings, timeoutSetting, urlSetting } from "./common-settings.ts";
import { TOPIC_FIELDS, templateProblem } from "./kafka-record.ts";
import { TOPIC_NAME } from "./topic-name.ts";

/** A text with placeholders that every event fills in; the fields that it may name are all unless given. */
const template = (fields?: readonly string[]) =>
  z.string().superRefine((text, ctx) => {
    const problem = templateProblem(text, fields);
    if (problem !== null) ctx.addIssue({ code: "custom", message: problem });
  });

/** What every Kafka protocol is set with. */
export const recordFields = {
  // Not the event's own fields: whoever holds a token could name topics that are not there, and hold up the destination.
  topic: template(TOPIC_FIELDS)
    .refine(
      (text) => TOPIC_NAME.test(text.replaceAll(/\{(team|token)\}/g, "x")),
      "must be a Kafka topic name: letters, digits, '.', '_' and '-'",
    )
    .describe("Topic that events are written to; may hold {team} and {token}"),
  key: template().default("{token}:{distinct_id}").describe("Record key, which decides the partition; empty: none"),
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

/** What every Kafka protocol over HTTP is set with. */
export const kafkaFields = {
  url: urlSetting.describe("Address of the HTTP front of the Kafka cluster, without the topic"),
  ...recordFields,
};

/** For protocols whose records have headers. */
export const headersField = z
  .record(z.string().min(1).max(200), template())
  .default({})
  .describe("Record headers beside those of the format; values may hold what key may");

export const basicAuth = z.strictObject({
  username: z.string().describe("User name of the Authorization header; secret"),
  password: z.string().describe("Password of the Authorization header; secret"),
});

const shape = z.object({ ...kafkaFields, auth: basicAuth.optional() });

/** What the protocols share. */
export type KafkaSettings = z.infer<typeof shape>;
