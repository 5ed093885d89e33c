import type { Event, Geo } from "../../../../../shared/event.ts";
import { placedAddress } from "./placed-address.ts";

/** As PostHog's `meta.geoip` answers, as far as the edge knows it. */
export interface City {
  city?: { names: { en: string } };
  country?: { names: { en: string }; isoCode: string };
  continent?: { names: { en: string }; code: string };
  location?: { latitude: number; longitude: number; timeZone?: string };
  subdivisions?: { names: { en: string }; isoCode?: string }[];
}

const CONTINENTS: Readonly<Record<string, string>> = {
  AF: "Africa",
  AN: "Antarctica",
  AS: "Asia",
  EU: "Europe",
  NA: "North America",
  OC: "Oceania",
  SA: "South America",
};

let countries: Intl.DisplayNames | null = null;

/** Where an address is: known for the addresses that these events have a place of, null for every other one. */
export function locate(ip: unknown, events: readonly Event[]): City | null {
  for (const event of events) {
    if (event.geo !== undefined && ip === placedAddress(event)) return cityOf(event.geo);
  }
  return null;
}

function cityOf(geo: Geo): City {
  const { city, country, continent, latitude, longitude, timezone, region } = geo;
  const found: City = {};
  if (city !== undefined) found.city = { names: { en: city } };
  if (country !== undefined) found.country = { names: { en: countryName(country) }, isoCode: country };
  if (continent !== undefined) found.continent = { names: { en: CONTINENTS[continent] ?? continent }, code: continent };
  if (latitude !== undefined && longitude !== undefined) {
    found.location = { latitude, longitude, ...(timezone === undefined ? {} : { timeZone: timezone }) };
  }
  if (region !== undefined) found.subdivisions = [{ names: { en: region } }];
  return found;
}

/** The English name of a country by its two letters. */
export function countryName(code: string): string {
  countries ??= new Intl.DisplayNames(["en"], { type: "region", fallback: "code" });
  return /^[A-Z]{2}$/i.test(code) ? (countries.of(code.toUpperCase()) ?? code) : code;
}
