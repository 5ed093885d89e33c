import { expect } from "vitest";
import type { Headwater } from "./headwater.ts";
import type { KafkaRecord } from "./kafka.ts";

export const TOKEN = "phc_kafka";
export const PARTITIONS = 12;
const REQUEST_EVENTS = 500;
const SENDERS = 4;
const USERS = 500;

const uuidOf = (n: number) => `01890a5d-ac96-774b-bcce-${n.toString(16).padStart(12, "0")}`;

export function numberedEvent(n: number) {
  return {
    ...{ event: "tick", uuid: uuidOf(n), distinct_id: `user-${n % USERS}`, timestamp: "2026-01-01T00:00:00.000Z" },
    properties: { n, $session_id: "s-1", padding: "x".repeat(300) },
  };
}

/** Each sender has users of its own, and sends one request after the other: the order in which a user's events are accepted is known. */
export async function sendNumbered(target: Headwater, events: number): Promise<void> {
  const numbers = Array.from({ length: events }, (_, n) => n);
  await Promise.all(
    Array.from({ length: SENDERS }, async (_, sender) => {
      const own = numbers.filter((n) => (n % USERS) % SENDERS === sender);
      for (let at = 0; at < own.length; ) {
        const batch = own.slice(at, at + REQUEST_EVENTS).map(numberedEvent);
        const response = await target.send({ api_key: TOKEN, batch });
        await response.arrayBuffer();
        if (response.status === 200) at += REQUEST_EVENTS;
        else if (response.status !== 503) throw new Error(`capture answered ${response.status}`);
      }
    }),
  );
}

export interface NumberedRecord {
  uuid: string;
  n: number;
  record: KafkaRecord;
}

/** A record of format event. */
export function numbered(record: KafkaRecord): NumberedRecord {
  const { uuid, properties } = JSON.parse(record.value) as { uuid: string; properties: { n: number } };
  return { uuid, n: properties.n, record };
}

/** A record of format posthog. */
export function numberedPostHog(record: KafkaRecord): NumberedRecord {
  const captured = JSON.parse(record.value) as { uuid: string; data: string };
  return { uuid: captured.uuid, n: JSON.parse(captured.data).properties.n, record };
}

/** What a topic holds against what was sent: nothing missing, each user's events in order but for what came again. Counts that. */
export function duplicatesIn(records: readonly NumberedRecord[], events: number): number {
  const seen = new Set<string>();
  const lastOf = new Map<string, number>();
  const partitionOf = new Map<string, number>();
  let duplicates = 0;
  for (const { uuid, n, record } of records) {
    const user = `user-${n % USERS}`;
    // A key has one partition, and within it Kafka's order is the order of reading.
    expect(partitionOf.get(user) ?? record.partition).toBe(record.partition);
    partitionOf.set(user, record.partition);
    if (seen.has(uuid)) {
      duplicates++;
      continue;
    }
    seen.add(uuid);
    if (n < (lastOf.get(user) ?? -1)) throw new Error(`${user}: event ${n} came after ${lastOf.get(user)}`);
    lastOf.set(user, n);
  }
  expect(seen.size).toBe(events);
  expect(new Set(partitionOf.values()).size).toBe(PARTITIONS);
  return duplicates;
}

/** Of the attempts that were not acknowledged, by destination: how many events they carried. */
export class FailedAttempts {
  readonly events: Record<string, number> = {};
  readonly reasons = new Set<string>();
  #rest = "";

  /** Takes what Headwater prints. */
  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines.filter((one) => one.includes('"attempt failed"'))) {
      const { destination, events, reason } = JSON.parse(line.slice(line.indexOf("{"))) as Record<string, unknown>;
      const id = String(destination);
      this.events[id] = (this.events[id] ?? 0) + Number(events);
      this.reasons.add(String(reason));
    }
  }
}
