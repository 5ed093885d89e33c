import type { Geo } from "../../shared/event.ts";
import { type Address, formatAddress } from "./address.ts";
import { clientAddress, type Proxies, parseHop } from "./proxies.ts";

/** What the edge knows of who is calling. */
export interface Client {
  ip: string | null;
  /** Of that address. Undefined on one machine: what is known there of addresses is in a file. */
  geo: Geo | undefined;
}

/** Where Cloudflare places a Durable Object near the client; `local` where nothing tells the place. */
export type Region = "wnam" | "enam" | "sam" | "weur" | "eeur" | "apac" | "oc" | "afr" | "me" | "local";

/** `clientIp`: of workerd on a socket of its own. */
type Place = Partial<IncomingRequestCfProperties> & { clientIp?: unknown };

export type ClientReader = (request: Request) => Client;

/** `proxies`: those of the operator; without any, whoever has opened the connection is the client, whatever the headers say. */
export function clientReader(proxies: Proxies): ClientReader {
  return (request) => {
    const place = placeOf(request);
    const peer = peerOf(request, place);
    const address = clientAddress(peer, request.headers, proxies);
    // The edge has placed who is at the other end: behind a proxy of the operator's that is not the client.
    return { ip: address === null ? null : formatAddress(address), geo: address === peer ? geoOf(place) : undefined };
  };
}

/** In Node a request has no `cf`. */
function placeOf(request: Request): Place {
  return (request.cf ?? {}) as Place;
}

/**
 * Who is at the other end. On a socket of its own the runtime says so, with the port; Cloudflare says so in a header that no client can
 * set there. Where nothing but the header is there, anybody may have written it.
 */
function peerOf({ headers }: Request, { clientIp, colo }: Place): Address | null {
  if (isText(clientIp)) return parseHop(clientIp);
  return isText(colo) ? parseHop(headers.get("cf-connecting-ip") ?? "") : null;
}

function geoOf(place: Place): Geo | undefined {
  const geo: Geo = {};
  if (isText(place.country)) geo.country = place.country;
  if (isText(place.region)) geo.region = place.region;
  if (isText(place.city)) geo.city = place.city;
  const [latitude, longitude] = [degrees(place.latitude), degrees(place.longitude)];
  if (latitude !== null) geo.latitude = latitude;
  if (longitude !== null) geo.longitude = longitude;
  if (isText(place.timezone)) geo.timezone = place.timezone;
  if (isText(place.continent)) geo.continent = place.continent;
  for (const _field in geo) return geo;
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function degrees(value: unknown): number | null {
  const number = isText(value) ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}

/** Borders between two location hints of one continent, in degrees of longitude. */
const NORTH_AMERICA_BORDER = -100;
const EUROPE_BORDER = 19;

const MIDDLE_EAST = new Set("AE BH CY EG IL IQ IR JO KW LB OM PS QA SA SY TR YE".split(" "));

/** The location hint nearest to where the request arrived, so that the lane that acknowledges it is near the client. */
export function regionOf(request: Request): Region {
  const place = placeOf(request);
  if (isText(place.country) && MIDDLE_EAST.has(place.country)) return "me";
  const longitude = degrees(place.longitude) ?? 0;
  switch (place.continent) {
    case "NA":
      return longitude < NORTH_AMERICA_BORDER ? "wnam" : "enam";
    case "EU":
      return longitude < EUROPE_BORDER ? "weur" : "eeur";
    case "SA":
    case "AN":
      return "sam";
    case "AS":
      return "apac";
    case "OC":
      return "oc";
    case "AF":
      return "afr";
    default:
      return "local";
  }
}
