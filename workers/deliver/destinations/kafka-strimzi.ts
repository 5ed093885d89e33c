import { z } from "zod";
import { textToBase64 } from "../base64.ts";
import {
  isRetriableHttpCode,
  postRecords,
  type RecordVerdict,
  recordOutcomes,
  topicUrl,
  wholeFailure,
} from "./kafka-http.ts";
import type { KafkaRecord } from "./kafka-record.ts";
import type { KafkaProtocol } from "./kafka-send.ts";
import { basicAuth, headersField, type KafkaSettings, kafkaFields } from "./kafka-settings.ts";

/**
 * Strimzi Kafka Bridge. Keys and values go as text, so that the topic holds their exact bytes: the bridge's "json" form would put
 * keys in quotes and write numbers anew. Header values are base64. Its answer is always 200, with one result a record.
 * The bridge knows no authentication; `auth` is for a proxy in front of it.
 */
export const strimziSettings = z.strictObject({
  protocol: z.literal("strimzi"),
  ...kafkaFields,
  headers: headersField,
  auth: basicAuth.optional(),
});

const CONTENT_TYPE = "application/vnd.kafka.text.v2+json";
const ACCEPT = "application/vnd.kafka.v2+json";
/** A record's code for a topic that is not in the cluster's metadata: it may be on its way. */
const UNKNOWN_TOPIC = 404;

export const strimzi: KafkaProtocol<KafkaSettings> = {
  headers: true,
  perTopic: true,
  post: (records, settings, deps) => {
    const topic = records[0]?.topic ?? settings.topic;
    const body = `{"records":[${records.map(recordText).join(",")}]}`;
    const post = { url: topicUrl(settings, topic), contentType: CONTENT_TYPE, accept: ACCEPT, body };
    return postRecords(post, settings, deps, (answer) => {
      const offsets = (answer.json as { offsets?: unknown } | null | undefined)?.offsets;
      if (!answer.response.ok || !Array.isArray(offsets))
        return wholeFailure(answer, settings, topic, deps.clock.now());
      return recordOutcomes(records, settings, (i) => verdict(offsets[i]), isRetriableCode);
    });
  },
};

function recordText({ key, value, headers }: KafkaRecord): string {
  const keyField = key === null ? "" : `"key":${JSON.stringify(key)},`;
  if (headers.length === 0) return `{${keyField}"value":${JSON.stringify(value)}}`;
  const encoded = headers.map(([name, text]) => ({ key: name, value: textToBase64(text) }));
  return `{${keyField}"value":${JSON.stringify(value)},"headers":${JSON.stringify(encoded)}}`;
}

function verdict(result: unknown): RecordVerdict {
  if (typeof result !== "object" || result === null) return undefined;
  const { offset, error_code: code, message } = result as { offset?: unknown; error_code?: unknown; message?: unknown };
  if (typeof code === "number") return { code, message: typeof message === "string" ? message : "" };
  return typeof offset === "number" ? "written" : undefined;
}

function isRetriableCode(code: number): boolean {
  return code === UNKNOWN_TOPIC || isRetriableHttpCode(code);
}
