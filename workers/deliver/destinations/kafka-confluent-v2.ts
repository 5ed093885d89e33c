import { z } from "zod";
import { textToBase64 } from "../base64.ts";
import type { Outcome, SendDeps } from "./destination.ts";
import {
  isRetriableHttpCode,
  postRecords,
  type RecordVerdict,
  recordOutcomes,
  topicUrl,
  wholeFailure,
} from "./kafka-http.ts";
import type { KafkaRecord } from "./kafka-record.ts";
import { postToRedpanda } from "./kafka-redpanda.ts";
import type { KafkaProtocol } from "./kafka-send.ts";
import { basicAuth, kafkaFields } from "./kafka-settings.ts";

/**
 * Confluent REST Proxy v2, and what speaks like it with one result a record (Karapace). Keys and values go as base64 ("binary"), so
 * that the topic holds their exact bytes: the "json" form would put keys in quotes and write numbers anew. No headers in v2.
 * An answer of 200 may hold failed records, and one of 401, 403 or 422 written ones: only a record's own result counts.
 */
export const confluentV2Settings = z.strictObject({
  protocol: z.literal("confluent-v2"),
  ...kafkaFields,
  dialect: z
    .enum(["confluent", "redpanda"])
    .default("confluent")
    .describe("redpanda: its HTTP Proxy, which answers with one result a partition"),
  auth: basicAuth.optional(),
});

type ConfluentV2Settings = z.infer<typeof confluentV2Settings>;

const CONTENT_TYPE = "application/vnd.kafka.binary.v2+json";
const ACCEPT = "application/vnd.kafka.v2+json";

/** Retriable by the proxy's own table: 50003 (Confluent), 2 (Karapace), and Kafka's retriable protocol codes, which some pass on raw. */
const RETRIABLE = new Set([50003, 2, 3, 5, 6, 7, 13, 14, 15, 16, 19, 20]);
const NO_RESULT_HINT = '; if it is a Redpanda, set dialect to "redpanda"';

/** Looks retriable by its first digits and is not. */
const FINAL = 50002;

export const confluentV2: KafkaProtocol<ConfluentV2Settings> = {
  headers: false,
  perTopic: true,
  post: async (records, settings, deps) => {
    if (settings.dialect === "redpanda") {
      const { host } = new URL(settings.url);
      return postToRedpanda(records, host, (part) => postPart(part, settings, deps));
    }
    const offsets = await postPart(records, settings, deps);
    if (!Array.isArray(offsets)) return offsets;
    return recordOutcomes(records, settings, (i) => verdict(offsets[i]), isRetriableCode, NO_RESULT_HINT);
  },
};

/** The entries of `offsets`, or why there are none. */
async function postPart(
  records: readonly KafkaRecord[],
  settings: ConfluentV2Settings,
  deps: SendDeps,
): Promise<unknown[] | Outcome> {
  const topic = records[0]?.topic ?? settings.topic;
  const body = `{"records":[${records.map(recordText).join(",")}]}`;
  const post = { url: topicUrl(settings, topic), contentType: CONTENT_TYPE, accept: ACCEPT, body };
  return postRecords(post, settings, deps, (answer) => {
    const offsets = (answer.json as { offsets?: unknown } | null | undefined)?.offsets;
    return Array.isArray(offsets) ? offsets : wholeFailure(answer, settings, topic, deps.clock.now());
  });
}

function recordText({ key, value }: KafkaRecord): string {
  const keyField = key === null ? "" : `"key":"${textToBase64(key)}",`;
  return `{${keyField}"value":"${textToBase64(value)}"}`;
}

function verdict(result: unknown): RecordVerdict {
  if (typeof result !== "object" || result === null) return undefined;
  const { offset, error_code: code, error } = result as { offset?: unknown; error_code?: unknown; error?: unknown };
  if (typeof code === "number" && code !== 0) return { code, message: typeof error === "string" ? error : "" };
  return typeof offset === "number" ? "written" : undefined;
}

function isRetriableCode(code: number): boolean {
  return code !== FINAL && (RETRIABLE.has(code) || isRetriableHttpCode(code));
}
