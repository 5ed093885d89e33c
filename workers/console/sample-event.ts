import { z } from "zod";
import type { Event } from "../../shared/event.ts";
import { UuidV5 } from "../../shared/uuid-v5.ts";

/** Whatever a sample leaves out is the same in every run, so that what scripts make of it is too. */
const DEFAULT_TIME = "2026-01-01T00:00:00.000Z";
/** A namespace of RFC 9562; any would do. */
const uuids = new UuidV5("6ba7b811-9dad-11d1-80b4-00c04fd430c8");

/** An event for trying scripts on: its name is enough. */
export const SampleEventSchema = z.looseObject({
  uuid: z.uuid().optional(),
  event: z.string("every event needs its name, as event").min(1),
  distinct_id: z.string().min(1).max(200).default("user-1"),
  timestamp: z.string().default(DEFAULT_TIME),
  properties: z.record(z.string(), z.unknown()).default({}),
  ip: z.string().nullable().default(null),
  received_at: z.string().default(DEFAULT_TIME),
  source: z.string().default("posthog"),
});

/** A whole event, its fields in the order in which capture writes them. `name` and the position make the uuid where it has none. */
export function completeEvent(sample: z.infer<typeof SampleEventSchema>, name: string, position: number): Event {
  const { uuid, event, distinct_id, timestamp, properties, ip, received_at, source, ...rest } = sample;
  const { $set, $set_once, geo, sent_at, ...others } = rest as Partial<Event>;
  return {
    ...{ uuid: uuid ?? uuids.of(`${name}:${position}`), event, distinct_id, timestamp, properties },
    ...($set === undefined ? {} : { $set }),
    ...($set_once === undefined ? {} : { $set_once }),
    ip,
    ...(geo === undefined ? {} : { geo }),
    received_at,
    ...(sent_at === undefined ? {} : { sent_at }),
    source,
    ...others,
  };
}
