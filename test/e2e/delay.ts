import { expect } from "vitest";
import { percentile } from "../../bench/load.ts";
import type { Traffic } from "./traffic.ts";
import type { WebhookSink } from "./webhook-sink.ts";

/** p99 of the time from answer to delivery at a sink, in milliseconds, over the events that were answered in [from, to). */
export function delayP99Ms(sink: WebhookSink, traffic: Traffic, from: number, to: number): number {
  const delays: number[] = [];
  for (const { uuids, arrivedAt } of sink.accepted) {
    for (const uuid of uuids) {
      const answeredAt = traffic.answered.get(uuid) ?? Number.NaN;
      if (answeredAt >= from && answeredAt < to) delays.push(Math.max(0, arrivedAt - answeredAt));
    }
  }
  expect(delays.length).toBeGreaterThan(100);
  return percentile(Float64Array.from(delays).sort(), 0.99);
}
