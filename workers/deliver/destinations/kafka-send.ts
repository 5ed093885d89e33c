import type { OutboundRequest, Outcome, SendDeps, Sent } from "./destination.ts";
import { isRefusal } from "./kafka-http.ts";
import { isTemplate, type KafkaRecord, kafkaRecords, type RecordSettings } from "./kafka-record.ts";

/** One wire protocol of Kafka's, or of a front of it. */
export interface KafkaProtocol<Settings> {
  /** Whether its records have headers. */
  readonly headers: boolean;
  /** Whether a request of its own is for one topic, whose name is in the address. */
  readonly perTopic: boolean;
  /** Sends one request. One outcome a record, or one that holds for all. */
  post(records: readonly KafkaRecord[], settings: Settings, deps: SendDeps): Promise<Outcome[] | Outcome>;
}

/**
 * Sends an outbox's request by a protocol. Mostly that is one request on the wire; where there are several topics and the protocol
 * takes one at a time it is one for each, in the order of their first records. Records of a topic, and so of a key, keep their order;
 * between topics Kafka has none.
 */
export async function sendRecords<Settings extends RecordSettings>(
  request: OutboundRequest,
  settings: Settings,
  deps: SendDeps,
  protocol: KafkaProtocol<Settings>,
): Promise<Sent> {
  const records = kafkaRecords(request, settings, protocol.headers);
  if (request.shaped !== true && !isTemplate(settings.topic))
    return { outcomes: await protocol.post(records as KafkaRecord[], settings, deps) };
  const outcomes: Outcome[] = [];
  const byTopic = new Map<string, { index: number; record: KafkaRecord }[]>();
  for (const [index, record] of records.entries()) {
    if ("problem" in record) {
      outcomes[index] = { result: "dead", reason: record.problem };
      continue;
    }
    const topic = protocol.perTopic ? record.topic : "";
    const group = byTopic.get(topic);
    if (group === undefined) byTopic.set(topic, [{ index, record }]);
    else group.push({ index, record });
  }
  let stopped: Outcome | null = null;
  for (const group of byTopic.values()) {
    const answer: Outcome[] | Outcome =
      stopped ??
      (await protocol.post(
        group.map(({ record }) => record),
        settings,
        deps,
      ));
    for (const [i, { index, record }] of group.entries()) {
      const outcome = Array.isArray(answer) ? (answer[i] as Outcome) : answer;
      outcomes[index] = protocol.perTopic && record.scriptTopic === true ? withoutHoldUp(outcome) : outcome;
    }
    if (!Array.isArray(answer) && endsAll(answer, deps.signal)) stopped = answer;
  }
  return { outcomes };
}

/** A topic that a script may not write to would hold back all others of an ordered destination: its records wait as dead letters. */
function withoutHoldUp(outcome: Outcome): Outcome {
  return outcome.result === "retry" && isRefusal(outcome.status, 403) ? { ...outcome, result: "dead" } : outcome;
}

/** Whether another request after this answer would be in vain, or worse. */
function endsAll(outcome: Outcome, signal: AbortSignal): boolean {
  if (outcome.result === "retry") return signal.aborted || outcome.throttled === true || isRefusal(outcome.status, 401);
  return outcome.result === "disable";
}
