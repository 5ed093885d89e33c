import type { Event, Geo } from "../../shared/event.ts";
import type { SourceSnapshot } from "../../shared/snapshot.ts";
import { maskAddress } from "./address.ts";
import { isObject, type JsonObject } from "./protocols/json-object.ts";

/**
 * What a source lets be known of where a client is, written into the event. Null: all of it.
 * mask: the address as its network; what the edge has read from the whole one stays. drop: neither the address nor the place, only
 * country, region, continent and time zone. Both hold for what the client says itself too: `$ip`, which wins over the address in PostHog,
 * and the `ip` in Segment's context.
 */
export function compileAddressPolicy(policy: SourceSnapshot["ip"]): ((event: Event) => void) | null {
  switch (policy) {
    case "keep":
      return null;
    case "mask":
      return masker();
    case "drop":
      return dropper();
  }
}

/** The events of a request share one address: it is masked once for them. */
function masker(): (event: Event) => void {
  let last: { whole: string; masked: string | null } | null = null;
  return (event) => {
    if (event.ip !== null) {
      if (last?.whole !== event.ip) last = { whole: event.ip, masked: maskAddress(event.ip) };
      event.ip = last.masked;
    }
    for (const [holder, name] of statedAddresses(event)) {
      const stated = holder[name];
      const masked = typeof stated === "string" ? maskAddress(stated) : null;
      if (masked === null) delete holder[name];
      else holder[name] = masked;
    }
  };
}

/**
 * Where the client itself says what its address is: for the event, for its person, and in the whole message of Segment's kind, to which
 * RudderStack's own servers add `request_ip`. Messages of one batch may share their context: to mask it twice does no harm.
 */
function statedAddresses({ properties, $set, $set_once }: Event): [holder: JsonObject, name: string][] {
  const stated: [JsonObject, string][] = [];
  const add = (holder: unknown, name: string) => {
    if (isObject(holder) && holder[name] !== undefined) stated.push([holder, name]);
  };
  for (const holder of [properties, $set, $set_once, properties.$set, properties.$set_once]) add(holder, "$ip");
  const message = properties.$segment;
  add(message, "request_ip");
  if (isObject(message)) add(message.context, "ip");
  return stated;
}

/** The events of a request share one place: it is cut once for them, and so is the text of it when they are stored. */
function dropper(): (event: Event) => void {
  let last: { whole: Geo; coarse: Geo } | null = null;
  return (event) => {
    event.ip = null;
    for (const [holder, name] of statedAddresses(event)) delete holder[name];
    if (event.geo === undefined) return;
    if (last?.whole !== event.geo) last = { whole: event.geo, coarse: coarse(event.geo) };
    event.geo = last.coarse;
  };
}

function coarse({ city: _city, latitude: _latitude, longitude: _longitude, ...rest }: Geo): Geo {
  return rest;
}
