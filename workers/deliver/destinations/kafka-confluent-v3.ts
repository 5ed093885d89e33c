import { z } from "zod";
import { textToBase64 } from "../base64.ts";
import type { Outcome, SendDeps } from "./destination.ts";
import { noAnswer } from "./http-answer.ts";
import { JsonStream } from "./json-stream.ts";
import {
  isRetriableHttpCode,
  parsed,
  type RecordVerdict,
  recordOutcomes,
  sendPost,
  wholeFailure,
} from "./kafka-http.ts";
import type { KafkaRecord } from "./kafka-record.ts";
import type { KafkaProtocol } from "./kafka-send.ts";
import { basicAuth, headersField, type KafkaSettings, kafkaFields } from "./kafka-settings.ts";

/**
 * Confluent REST Proxy v3 and Confluent Cloud: one record a line, one report a record on one answer that begins before the last
 * record is read. Its status says nothing about them; a report's own `error_code` does, 200 for written. After a body that the proxy
 * cannot read on, the reports end: what has none is tried again. Keys and values go as base64, so that the topic holds their exact
 * bytes whatever the proxy's version.
 */
export const confluentV3Settings = z.strictObject({
  protocol: z.literal("confluent-v3"),
  ...kafkaFields,
  cluster: z
    .string()
    .regex(/^[a-zA-Z0-9._-]+$/, "must be the cluster's id")
    .describe("Id of the cluster, as in lkc-1"),
  headers: headersField,
  auth: basicAuth.optional(),
});

type ConfluentV3Settings = z.infer<typeof confluentV3Settings>;

const WRITTEN = 200;
/** Looks retriable by its first digits and is not. */
const FINAL = 50002;

export const confluentV3: KafkaProtocol<ConfluentV3Settings> = {
  headers: true,
  perTopic: true,
  post: async (records, settings, deps) => {
    const topic = records[0]?.topic ?? settings.topic;
    const url = `${settings.url.replace(/\/+$/, "")}/v3/clusters/${settings.cluster}/topics/${topic}/records`;
    const body = records.map(recordText).join("\n");
    const post = { url, contentType: "application/json", accept: "application/json", body };
    const { host } = new URL(url);
    try {
      const response = await sendPost(post, settings, deps);
      if (response.ok) return await streamed(response, records, settings, deps);
      const text = await response.text();
      return wholeFailure({ response, text, json: parsed(text) }, settings, topic, deps.clock.now());
    } catch (error) {
      return noAnswer(error, deps.signal, host);
    }
  },
};

/** Reads the reports as they come: those before a break count. */
async function streamed(
  response: Response,
  records: readonly KafkaRecord[],
  settings: KafkaSettings,
  deps: SendDeps,
): Promise<Outcome[] | Outcome> {
  const { host } = new URL(settings.url);
  const reports: unknown[] = [];
  let text = "";
  let broken: Outcome | null = null;
  try {
    const stream = new JsonStream();
    const pieces = response.body?.pipeThrough(new TextDecoderStream()) ?? [];
    for await (const piece of pieces as AsyncIterable<string>) {
      if (reports.length === 0) text += piece;
      for (const report of stream.push(piece)) reports.push(report);
    }
  } catch (error) {
    // Not JSON, cut off, or out of time.
    broken = noAnswer(error, deps.signal, host);
  }
  if (reports.length === 0)
    return broken ?? wholeFailure({ response, text, json: undefined }, settings, settings.topic, deps.clock.now());
  return recordOutcomes(records, settings, (i) => verdict(reports[i]), isRetriableCode);
}

function recordText({ key, value, headers }: KafkaRecord): string {
  const binary = (text: string) => `{"type":"BINARY","data":"${textToBase64(text)}"}`;
  const fields = key === null ? [] : [`"key":${binary(key)}`];
  if (headers.length > 0)
    fields.push(`"headers":${JSON.stringify(headers.map(([name, text]) => ({ name, value: textToBase64(text) })))}`);
  return `{${[...fields, `"value":${binary(value)}`].join(",")}}`;
}

function verdict(report: unknown): RecordVerdict {
  if (typeof report !== "object" || report === null) return undefined;
  const { error_code: code, message } = report as { error_code?: unknown; message?: unknown };
  if (code === WRITTEN) return "written";
  return typeof code === "number" ? { code, message: typeof message === "string" ? message : "" } : undefined;
}

/** 404xx: a topic or partition that is not, or not yet, there. */
function isRetriableCode(code: number): boolean {
  return code !== FINAL && (Math.floor(code / 100) === 404 || isRetriableHttpCode(code));
}
