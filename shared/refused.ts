import type { Refused } from "./lane-api.ts";

/** Adds `more` to `counts`, and gives how many events that are. */
export function addRefused(counts: Refused, more: Refused): number {
  let events = 0;
  for (const [source, reasons] of Object.entries(more)) {
    counts[source] ??= {};
    for (const [reason, count] of Object.entries(reasons)) {
      counts[source][reason] = (counts[source][reason] ?? 0) + count;
      events += count;
    }
  }
  return events;
}
