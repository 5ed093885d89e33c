/** How messages of Segment's Tracking API are named as events: capture reads it forwards, scripts for RudderStack both ways. */
type JsonObject = Record<string, unknown>;

export const MESSAGE_TYPES = ["track", "identify", "page", "screen", "group", "alias"] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

/** The events that are no user's own. */
export const EVENT_NAMES: Record<Exclude<MessageType, "track">, string> = {
  identify: "$identify",
  page: "$pageview",
  screen: "$screen",
  group: "$groupidentify",
  alias: "$create_alias",
};

/** The type of group that PostHog gives to Segment's, which name none. */
export const GROUP_TYPE = "segment_group";

/** Where a value of the context stands, and the property that PostHog's tools read it from. */
export const CONTEXT_TEXTS: readonly [section: string, field: string, property: string][] = [
  ["library", "name", "$lib"],
  ["library", "version", "$lib_version"],
  ["page", "url", "$current_url"],
  ["page", "path", "$pathname"],
  ["page", "referrer", "$referrer"],
  ["page", "title", "title"],
  ["campaign", "source", "utm_source"],
  ["campaign", "medium", "utm_medium"],
  ["campaign", "name", "utm_campaign"],
  ["campaign", "term", "utm_term"],
  ["campaign", "content", "utm_content"],
  ["os", "name", "$os"],
  ["os", "version", "$os_version"],
  ["device", "id", "$device_id"],
  ["device", "type", "$device_type"],
  ["device", "manufacturer", "$device_manufacturer"],
  ["device", "model", "$device_model"],
  ["device", "name", "$device_name"],
  ["app", "name", "$app_name"],
  ["app", "version", "$app_version"],
  ["app", "build", "$app_build"],
  ["app", "namespace", "$app_namespace"],
  ["network", "carrier", "$network_carrier"],
  ["network", "wifi", "$network_wifi"],
  ["network", "cellular", "$network_cellular"],
  ["screen", "width", "$screen_width"],
  ["screen", "height", "$screen_height"],
];
export const CONTEXT_ROOTS: readonly [field: string, property: string][] = [
  ["ip", "$ip"],
  ["userAgent", "$raw_user_agent"],
  ["locale", "$locale"],
  ["timezone", "$timezone"],
];

/** By section, so that a context without one costs one look. */
const SECTIONS = [...Map.groupBy(CONTEXT_TEXTS, ([section]) => section)].map(([name, fields]) => ({ name, fields }));

/**
 * Adds to `properties` what the context says, under the names that PostHog's tools know. What the caller has set there already
 * stays. Only values that are text, numbers or booleans are taken: the whole context is kept elsewhere.
 */
export function addContext(properties: JsonObject, context: JsonObject): void {
  for (const [field, property] of CONTEXT_ROOTS) add(properties, property, context[field]);
  for (const { name, fields } of SECTIONS) {
    const values = context[name];
    if (typeof values !== "object" || values === null) continue;
    for (const field of fields) add(properties, field[2], (values as JsonObject)[field[1]]);
  }
}

const HOST = /^[a-z][a-z\d+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]+)/i;

/** Adds the host of the page, and of the page before it, which neither Segment nor RudderStack name. */
export function addHosts(properties: JsonObject): void {
  add(properties, "$host", hostOf(properties.$current_url));
  add(properties, "$referring_domain", hostOf(properties.$referrer));
}

function hostOf(url: unknown): string | undefined {
  return typeof url === "string" ? HOST.exec(url)?.[1] : undefined;
}

/** Sets the property where the value says something and the property is not there yet. */
export function add(properties: JsonObject, property: string, value: unknown): void {
  // Most values are missing: that is asked first.
  if (value === undefined || value === "" || typeof value === "object") return;
  if (!Object.hasOwn(properties, property)) properties[property] = value;
}
