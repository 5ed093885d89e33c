import { textToBase64 } from "../base64.ts";
import type { Outcome, SendDeps } from "./destination.ts";
import { failure, isRetriable, KEPT_RESPONSE_BYTES, noAnswer } from "./http-answer.ts";
import type { KafkaRecord } from "./kafka-record.ts";
import type { KafkaSettings } from "./kafka-settings.ts";

/** An answer with its body read: what the protocols judge record by record. */
export interface KafkaAnswer {
  response: Response;
  text: string;
  /** Undefined where the body is no JSON. */
  json: unknown;
}

function basicAuthorization(auth: KafkaSettings["auth"]): Record<string, string> {
  return auth === undefined ? {} : { authorization: `Basic ${textToBase64(`${auth.username}:${auth.password}`)}` };
}

interface Post {
  url: string;
  contentType: string;
  accept: string;
  body: string;
}

/** Throws where there is no answer. */
export function sendPost(post: Post, settings: KafkaSettings, deps: SendDeps): Promise<Response> {
  return deps.fetch(post.url, {
    method: "POST",
    headers: { ...basicAuthorization(settings.auth), "content-type": post.contentType, accept: post.accept },
    body: post.body,
    redirect: "manual",
    signal: deps.signal,
  });
}

/** POSTs one request and hands its answer to `judge`; without an answer, says why. */
export async function postRecords<Judged>(
  post: Post,
  settings: KafkaSettings,
  deps: SendDeps,
  judge: (answer: KafkaAnswer) => Judged | Outcome,
): Promise<Judged | Outcome> {
  const { host } = new URL(post.url);
  try {
    const response = await sendPost(post, settings, deps);
    const text = await response.text();
    return judge({ response, text, json: parsed(text) });
  } catch (error) {
    return noAnswer(error, deps.signal, host);
  }
}

export function topicUrl(settings: KafkaSettings, topic: string): string {
  return `${settings.url.replace(/\/+$/, "")}/topics/${topic}`;
}

/**
 * What a whole answer without results per record means. Kafka counts an unknown topic as temporary (it may be on its way), and so
 * does this: dead letters would break the order of what comes after. For the same reason refused credentials are waited for: whoever
 * changes a password changes it at two places, and nothing that comes between the two is the events' fault.
 */
export function wholeFailure(answer: KafkaAnswer, settings: KafkaSettings, topic: string, now: number): Outcome {
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
      reason: `${host} does not know the topic "${topic}": create it`,
      status: 404,
      response: body,
    };
  }
  const refusal = refusalReason(response.status, settings, topic);
  if (refusal !== null) return { result: "retry", reason: refusal, status: response.status, response: body };
  return failure(response, body, host, now);
}

/** What one record's own error code means; `undefined` where the destination gave no result for it. */
export type RecordVerdict = { code: number; message: string } | "written" | undefined;

/** One outcome a record, from one verdict a record. */
export function recordOutcomes(
  records: readonly KafkaRecord[],
  settings: KafkaSettings,
  verdictOf: (index: number) => RecordVerdict,
  retriable: (code: number) => boolean,
  noResultHint = "",
): Outcome[] | Outcome {
  const { host } = new URL(settings.url);
  let written = 0;
  const outcomes = records.map(({ topic }, i): Outcome => {
    const verdict = verdictOf(i);
    if (verdict === "written") {
      written++;
      return { result: "delivered" };
    }
    if (verdict === undefined)
      return { result: "retry", reason: `${host} gave no result for this record${noResultHint}` };
    const { code, message } = verdict;
    const refusal = refusalReason(code, settings, topic);
    const reason = refusal ?? `${host} could not write the record: code ${code}`;
    const answer = { reason, status: code, response: message };
    if (refusal !== null) return { result: "retry", ...answer };
    if (isThrottle(code)) return { result: "retry", throttled: true, ...answer };
    return { result: retriable(code) ? "retry" : "dead", ...answer };
  });
  return written === records.length ? { result: "delivered" } : outcomes;
}

/** Whether a code, with or without two more digits, is this HTTP status. */
export function isRefusal(code: number | undefined, status: 401 | 403): boolean {
  return code !== undefined && httpPart(code) === status;
}

function refusalReason(code: number, settings: KafkaSettings, topic: string): string | null {
  const { host } = new URL(settings.url);
  if (isRefusal(code, 401)) {
    const what = settings.auth === undefined ? "wants credentials: set auth" : "refuses the credentials: correct auth";
    return `${host} ${what} (code ${code})`;
  }
  if (!isRefusal(code, 403)) return null;
  const who = settings.auth === undefined ? "nobody without credentials" : "the user of auth not";
  return `${host} lets ${who} write to the topic "${topic}": correct auth, or allow it there (code ${code})`;
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

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
