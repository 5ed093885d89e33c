import type { Event } from "../../shared/event.ts";
import { decodeLines } from "../../shared/ndjson.ts";

const SAMPLES_MAX_COUNT = 1_000;
/** Below the 32 MiB that may pass between workers, whatever the events' size. */
const SAMPLES_MAX_CHARS = 4_000_000;

/** The newest `limit` events of rows that come newest first: no more rows are read than that takes. */
export function newestEvents(rows: Iterable<Uint8Array>, limit: number): Event[] {
  const events: Event[] = [];
  const wanted = Math.min(limit, SAMPLES_MAX_COUNT);
  let chars = 0;
  if (wanted <= 0) return events;
  for (const row of rows) {
    for (const line of decodeLines(row).reverse()) {
      chars += line.length;
      if (events.length > 0 && chars > SAMPLES_MAX_CHARS) return events;
      events.push(JSON.parse(line) as Event);
      if (events.length === wanted) return events;
    }
  }
  return events;
}
