import { Kafka } from "@upstash/kafka";
import { z } from "zod";
import type { Outcome } from "./destination.ts";
import { type KafkaAnswer, postRecords, type RecordVerdict, recordOutcomes, wholeFailure } from "./kafka-http.ts";
import type { KafkaRecord } from "./kafka-record.ts";
import type { KafkaProtocol } from "./kafka-send.ts";
import { basicAuth, headersField, type KafkaSettings, kafkaFields } from "./kafka-settings.ts";

/**
 * The Upstash Kafka REST format, through the producer of @upstash/kafka. The library's own transport takes no signal, no fetch and
 * no "do not retry": it tries six times over 16 s whatever the answer, and an attempt that was given up would go on writing behind
 * its retry's back. So the producer gets a transport of ours: same requests, one try each, aborted with the attempt, leaving
 * through the same door as every destination.
 */
export const upstashSettings = z.strictObject({
  protocol: z.literal("upstash"),
  ...kafkaFields,
  headers: headersField,
  auth: basicAuth,
});

/** What the library asks of its transport. */
interface Transport {
  post(request: { path: string[]; body?: unknown }): Promise<unknown>;
}

export const upstash: KafkaProtocol<KafkaSettings> = {
  headers: true,
  perTopic: false,
  post: async (records, settings, deps) => {
    let outcome: Outcome[] | Outcome | null = null;
    const producer = producerOver(settings, {
      post: async ({ path, body }) => {
        const url = [settings.url.replace(/\/+$/, ""), ...path].join("/");
        const post = { url, contentType: "application/json", accept: "application/json", body: JSON.stringify(body) };
        outcome = await postRecords(post, settings, deps, (answer) =>
          judge(answer, records, settings, deps.clock.now()),
        );
        return [];
      },
    });
    await producer.produceMany(
      records.map(({ topic, key, value, headers }) => ({
        topic,
        value,
        ...(key === null ? {} : { key }),
        ...(headers.length === 0 ? {} : { headers: headers.map(([name, text]) => ({ key: name, value: text })) }),
      })),
    );
    if (outcome === null) throw new Error("@upstash/kafka did not use the transport that it was given");
    return outcome;
  },
};

/** The library keeps its transport in the field `client`, private by type only; its version is pinned and a test sends through it. */
function producerOver({ url, auth }: KafkaSettings, transport: Transport) {
  const kafka = new Kafka({ url, username: auth?.username ?? "", password: auth?.password ?? "" });
  Object.assign(kafka, { client: transport });
  return kafka.producer();
}

function judge(answer: KafkaAnswer, records: readonly KafkaRecord[], settings: KafkaSettings, now: number) {
  const results = answer.json;
  if (!answer.response.ok || !Array.isArray(results)) return wholeFailure(answer, settings, settings.topic, now);
  // The format knows no failure of a single record; a result without an offset is still no proof of a write.
  return recordOutcomes(
    records,
    settings,
    (i) => verdict(results[i]),
    () => true,
  );
}

function verdict(result: unknown): RecordVerdict {
  if (typeof result !== "object" || result === null) return undefined;
  return typeof (result as { offset?: unknown }).offset === "number" ? "written" : undefined;
}
