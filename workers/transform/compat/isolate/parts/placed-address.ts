import type { Event } from "../../../../../shared/event.ts";

/** The address that an event's `geo` is the place of: what its client states goes before where it came from. */
export function placedAddress({ ip, properties }: Event): unknown {
  return properties.$ip === undefined ? ip : properties.$ip;
}
