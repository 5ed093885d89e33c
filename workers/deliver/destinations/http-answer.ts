import { messageOf } from "../../../shared/errors.ts";
import type { Answer, Outcome } from "./destination.ts";

/** What of an answer is kept: enough to see an error message, little enough for a dead letter each. */
export const KEPT_RESPONSE_BYTES = 4_096;

/** The start of a body; the rest is cancelled unread. Empty where it breaks off. */
export async function readStart(response: Response, limit = KEPT_RESPONSE_BYTES): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let left = limit;
  try {
    while (left > 0) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      text += decoder.decode(value.subarray(0, left), { stream: true });
      left -= value.length;
    }
  } catch {
    return text;
  }
  void reader.cancel().catch(() => undefined);
  return text;
}

/** Retry-After: seconds or an HTTP date. Undefined where absent or not understood. */
export function retryAfterMs(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/** Statuses that ask to come again: time-out, too early, too many, and whatever the server says is its own fault. */
export function isRetriable(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** What a status that is not a success means for the whole request. */
export function failure(response: Response, body: string, host: string, now: number): Outcome {
  const { status } = response;
  const answer: Answer = { reason: `${host} answered ${status}`, status, response: body };
  if (status === 410) return { result: "disable", ...answer, reason: `${host} answered 410: it wants no more events` };
  if (isRetriable(status)) {
    const afterMs = retryAfterMs(response.headers.get("retry-after"), now);
    return {
      result: "retry",
      ...answer,
      ...(afterMs === undefined ? {} : { afterMs }),
      ...(status === 429 ? { throttled: true } : {}),
    };
  }
  if (status >= 300 && status < 400) {
    return {
      result: "dead",
      ...answer,
      reason: `${host} answered ${status}, a redirect, which is not followed: set the final URL`,
    };
  }
  return { result: "dead", ...answer };
}

/** What it means that there was no answer: time-out or network. */
export function noAnswer(error: unknown, signal: AbortSignal, host: string): Outcome {
  if (signal.aborted) return { result: "retry", reason: `${host} did not answer in time` };
  return { result: "retry", reason: `no answer from ${host}: ${networkReason(error)}` };
}

/** undici says "fetch failed" and hides the code in the cause; workerd says it in the message. */
function networkReason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (typeof code === "string") return code;
  const message = messageOf(error);
  // All that workerd tells of an address that its network does not allow.
  if (message.startsWith("internal error")) {
    return "the connection was refused before it left: a private address needs --allow-private when started with `npm run serve`";
  }
  return message.replaceAll(/https?:\/\/\S+/g, "its URL");
}
