import type { Outcome } from "./destination.ts";
import { codeKind, codeName } from "./kafka-codes.ts";
import type { KafkaRecord } from "./kafka-record.ts";

/** What Redpanda's HTTP Proxy answers: one entry a partition that it wrote to, with Kafka's own code; not one a record. */
type Entries = readonly unknown[];

/**
 * Which records an entry is about cannot be told. So all are written, or all are sent again, those that were written a second time;
 * and where something can never be written, the request is sent again in halves until what is left alone is it.
 * @param post sends a part of the records; an outcome where it got no entries
 */
export async function postToRedpanda(
  records: readonly KafkaRecord[],
  host: string,
  post: (records: readonly KafkaRecord[]) => Promise<Entries | Outcome>,
): Promise<Outcome[] | Outcome> {
  const answer = await post(records);
  if ("result" in answer) return answer;
  if (answer.length === 0) return { result: "retry", reason: `${host} gave no result for these records` };
  const failed = answer.map(codeOf).filter((code) => code !== 0);
  if (failed.length === 0) return { result: "delivered" };
  const final = failed.find((code) => ["too-large", "record"].includes(codeKind(code)));
  const status = final ?? (failed[0] as number);
  if (final === undefined || records.length === 1) {
    const which = records.length === 1 ? "the record" : "some of the records, which it does not name";
    const reason = `${host} could not write ${which}: ${codeName(status)}`;
    return { result: final === undefined ? "retry" : "dead", reason, status };
  }
  const middle = records.length >> 1;
  const first = await outcomesOf(records.slice(0, middle), host, post);
  const held = first.find(({ result }) => result === "retry" || result === "disable");
  if (held !== undefined) return [...first, ...records.slice(middle).map(() => held)];
  return [...first, ...(await outcomesOf(records.slice(middle), host, post))];
}

async function outcomesOf(...args: Parameters<typeof postToRedpanda>): Promise<Outcome[]> {
  const outcomes = await postToRedpanda(...args);
  return Array.isArray(outcomes) ? outcomes : args[0].map(() => outcomes);
}

/** 0: written. What is no result of a write is none. */
function codeOf(entry: unknown): number {
  const { error_code: code, offset } = (entry ?? {}) as { error_code?: unknown; offset?: unknown };
  if (typeof code === "number" && code !== 0) return code;
  return typeof offset === "number" && offset >= 0 ? 0 : UNKNOWN_SERVER_ERROR;
}

const UNKNOWN_SERVER_ERROR = -1;
