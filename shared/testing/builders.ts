import type { Event } from "../event.ts";

export function anEvent(overrides: Partial<Event> = {}): Event {
  return {
    uuid: "01890a5d-ac96-774b-bcce-b302099a8057",
    event: "$pageview",
    distinct_id: "user-1",
    timestamp: "2026-01-01T00:00:00.000Z",
    properties: { plan: "pro" },
    ip: "203.0.113.7",
    received_at: "2026-01-01T00:00:01.000Z",
    source: "posthog",
    ...overrides,
  };
}
