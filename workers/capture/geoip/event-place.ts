import type { Event, Geo } from "../../../shared/event.ts";
import { type Address, formatAddress, parseAddress } from "../address.ts";
import type { Client } from "../client.ts";

/** Where an address is; undefined where that is not known. Addresses of one place have one object. Never throws. */
export type GeoLookup = (address: Address) => Geo | undefined;

/**
 * Writes into the events of a request where they come from: the place of the address that each one has. `properties.$ip` is that address
 * where the client states one, as it is in PostHog, and as servers do that speak for their users; where they state that there is none, or
 * what is none, there is no place. `lookup`: beyond what the edge knows of the client; null where there is none.
 */
export function placeEvents(events: readonly Event[], client: Client, lookup: GeoLookup | null): void {
  if (lookup === null && client.geo === undefined) return;
  const places = new Places(client, lookup);
  for (const event of events) {
    const { $ip } = event.properties;
    const geo = $ip === undefined ? places.of(event.ip) : places.ofStated($ip);
    if (geo !== undefined) event.geo = geo;
  }
}

class Places {
  readonly #client: Client;
  readonly #lookup: GeoLookup | null;
  /** Looked up for the first event that is the client's own, and one object for all of them: they are stored as one text. */
  #ofClient: { geo: Geo | undefined } | null = null;
  /** What was stated last: a server's events in a row are often those of one user. */
  #ofStated: { stated: string; geo: Geo | undefined } | null = null;

  constructor(client: Client, lookup: GeoLookup | null) {
    this.#client = client;
    this.#lookup = lookup;
  }

  /** `ip`: as capture writes addresses. */
  of(ip: string | null): Geo | undefined {
    if (ip !== this.#client.ip) return this.#find(ip);
    this.#ofClient ??= { geo: this.#client.geo ?? this.#find(ip) };
    return this.#ofClient.geo;
  }

  ofStated(stated: unknown): Geo | undefined {
    if (typeof stated !== "string") return undefined;
    if (this.#ofStated?.stated !== stated) {
      const address = parseAddress(stated);
      this.#ofStated = { stated, geo: address === null ? undefined : this.of(formatAddress(address)) };
    }
    return this.#ofStated.geo;
  }

  #find(ip: string | null): Geo | undefined {
    const address = this.#lookup === null || ip === null ? null : parseAddress(ip);
    return address === null ? undefined : this.#lookup?.(address);
  }
}
