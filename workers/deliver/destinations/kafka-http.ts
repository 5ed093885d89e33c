import { textToBase64 } from "../base64.ts";
import type { OutboundRequest, Outcome, SendDeps, Sent } from "./destination.ts";
import { failure, isRetriable, KEPT_RESPONSE_BYTES, noAnswer } from "./http-answer.ts";
import type { KafkaSettings } from "./kafka-settings.ts";

/** An answer with its body read: what the protocols judge record by record. */
export interface KafkaAnswer {
  response: Response;
  text: string;
  /** Undefined where the body is no JSON. */
  json: unknown;
}

export function basicAuthorization(auth: KafkaSettings["auth"]): Record<string, string> {
  return auth === undefined ? {} : { authorization: `Basic ${textToBase64(`${auth.username}:${auth.password}`)}` };
}

/** POSTs one request and hands its answer to `judge`; without an answer, says why. */
export async function postRecords(
  post: { url: string; contentType: string; accept: string; body: string },
  settings: KafkaSettings,
  deps: SendDeps,
  judge: (answer: KafkaAnswer) => Outcome[] | Outcome,
): Promise<Sent> {
  const { host } = new URL(post.url);
  try {
    const response = await deps.fetch(post.url, {
      method: "POST",
      headers: { ...basicAuthorization(settings.auth), "content-type": post.contentType, accept: post.accept },
      body: post.body,
      redirect: "manual",
      signal: deps.signal,
    });
    const text = await response.text();
    return { outcomes: judge({ response, text, json: parsed(text) }) };
  } catch (error) {
    return { outcomes: noAnswer(error, deps.signal, host) };
  }
}

export function topicUrl(settings: KafkaSettings): string {
  return `${settings.url.replace(/\/+$/, "")}/topics/${settings.topic}`;
}

/**
 * What a whole answer without results per record means. Kafka counts an unknown topic as temporary (it may be on its way), and so
 * does this: dead letters would break the order of what comes after.
 */
export function wholeFailure(answer: KafkaAnswer, settings: KafkaSettings, now: number): Outcome {
  const { host } = new URL(settings.url);
  const { response } = answer;
  const body = answer.text.slice(0, KEPT_RESPONSE_BYTES);
  if (response.ok) {
    const reason = `${host} answered ${response.status} without the records' results: is it the right protocol?`;
    return { result: "retry", reason, status: response.status, response: body };
  }
  const code = (answer.json as { error_code?: unknown } | null | undefined)?.error_code;
  if (response.status === 404 && (code === 40401 || code === 404 || code === 40403)) {
    return {
      result: "retry",
      reason: `${host} does not know the topic "${settings.topic}": create it`,
      status: 404,
      response: body,
    };
  }
  return failure(response, body, host, now);
}

/** What one record's own error code means; `undefined` where the destination gave no result for it. */
export type RecordVerdict = { code: number; message: string } | "written" | undefined;

/** One outcome a record, from one verdict a record. */
export function recordOutcomes(
  request: OutboundRequest,
  settings: KafkaSettings,
  verdictOf: (index: number) => RecordVerdict,
  retriable: (code: number) => boolean,
): Outcome[] | Outcome {
  const { host } = new URL(settings.url);
  let written = 0;
  const outcomes = Array.from({ length: request.count }, (_, i): Outcome => {
    const verdict = verdictOf(i);
    if (verdict === "written") {
      written++;
      return { result: "delivered" };
    }
    if (verdict === undefined) return { result: "retry", reason: `${host} gave no result for this record` };
    const { code, message } = verdict;
    const answer = { reason: `${host} could not write the record: code ${code}`, status: code, response: message };
    if (isThrottle(code)) return { result: "retry", throttled: true, ...answer };
    return { result: retriable(code) ? "retry" : "dead", ...answer };
  });
  return written === request.count ? { result: "delivered" } : outcomes;
}

/** Codes that are an HTTP status, with or without two more digits. */
export function isRetriableHttpCode(code: number): boolean {
  return isRetriable(httpPart(code));
}

function isThrottle(code: number): boolean {
  return httpPart(code) === 429;
}

function httpPart(code: number): number {
  return code >= 10_000 ? Math.floor(code / 100) : code;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
