import type { Event } from "../../../shared/event.ts";
import { UuidV5 } from "../../../shared/uuid-v5.ts";
import type { JsonObject } from "./json-object.ts";

const HEATMAP_EVENT = "$$heatmap";
const HEATMAP_KEYS = [
  "$heatmap_data",
  "$viewport_height",
  "$viewport_width",
  "$session_id",
  "$prev_pageview_pathname",
  "$prev_pageview_max_scroll",
  "$current_url",
  // Says how a user may be told apart, and so belongs to whatever is said of one.
  "$cookieless_mode",
];

/** Of the second event's uuids, made from the first's so that a retry makes the same ones (invariant 7). */
const uuids = new UuidV5("6b1f0f4e-52a5-4b38-9d0c-7c1f3a5e8d21");

/**
 * PostHog keeps clicks and scroll depth apart from events: an event that carries them yields a second one that holds nothing else,
 * loses its clicks and is marked. Null, and the event as it was, where it carries none.
 */
export function splitHeatmap(event: Event): Event | null {
  const { properties } = event;
  const clicks = properties.$heatmap_data != null;
  if (!clicks && !(properties.$prev_pageview_pathname && properties.$current_url)) return null;
  if (event.event === HEATMAP_EVENT) return null;
  const heatmap: Event = {
    ...event,
    uuid: uuids.of(event.uuid),
    event: HEATMAP_EVENT,
    properties: pick(properties, HEATMAP_KEYS),
  };
  delete heatmap.$set;
  delete heatmap.$set_once;
  if (clicks) delete properties.$heatmap_data;
  event.heatmap_split = true;
  return heatmap;
}

function pick(from: JsonObject, keys: readonly string[]): JsonObject {
  const picked: JsonObject = {};
  for (const key of keys) if (from[key] != null) picked[key] = from[key];
  return picked;
}
