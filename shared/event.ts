/** The normalised event: what every stage after capture reads and writes. */
export interface Event {
  /** The client's if it is a valid UUID, else a UUIDv7 made at acceptance. Never changes afterwards. */
  uuid: string;
  /** Name, not empty. */
  event: string;
  /** At most 200 characters. */
  distinct_id: string;
  /** ISO 8601, UTC, clock skew corrected. */
  timestamp: string;
  properties: Record<string, unknown>;
  $set?: Record<string, unknown>;
  $set_once?: Record<string, unknown>;
  /** Where on the page clicks and scrolls were is in a `$$heatmap` event of its own: nobody has to look for it here. */
  heatmap_split?: true;
  /** Client address, honouring trusted proxies. */
  ip: string | null;
  geo?: Geo;
  /** ISO 8601, UTC: when the edge accepted it. */
  received_at: string;
  /** ISO 8601, UTC: when the client says that it sent it. */
  sent_at?: string;
  /** Source id, or the protocol: "posthog", "segment", … */
  source: string;
  historical?: boolean;
  /** Why it goes to the quarantine instead of through the scripts: set by capture, where a restriction says so. */
  quarantine?: string;
}

/** Where the event's own address is: `properties.$ip` if there is one, else `ip`. Every field may be missing. */
export interface Geo {
  country?: string;
  region?: string;
  city?: string;
  latitude?: number;
  longitude?: number;
  timezone?: string;
  continent?: string;
}
