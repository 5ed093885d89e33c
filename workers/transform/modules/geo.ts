/** `headwater:geo`: where the edge saw the client, as the properties that PostHog's own GeoIP sets. */

/** As `ctx.geo` and `event.geo` have it. */
export interface Place {
  country?: string;
  region?: string;
  city?: string;
  latitude?: number;
  longitude?: number;
  timezone?: string;
  continent?: string;
}

const CONTINENTS = new Map([
  ["AF", "Africa"],
  ["AN", "Antarctica"],
  ["AS", "Asia"],
  ["EU", "Europe"],
  ["NA", "North America"],
  ["OC", "Oceania"],
  ["SA", "South America"],
]);
/** "Unknown region", which `Intl` has a name for. */
const UNKNOWN = "ZZ";

const countries = new Intl.DisplayNames("en", { type: "region", fallback: "none" });

/** `$geoip_country_code`, `$geoip_city_name`, … of what is known of an event, or of a place; an empty object where nothing is. */
export function geoProperties(of: { geo?: Place | undefined } | Place | undefined): Record<string, string | number> {
  const place = of !== undefined && "geo" in of ? of.geo : (of as Place | undefined);
  if (place === undefined) return {};
  const { country, region, city, latitude, longitude, timezone, continent } = place;
  const named = {
    $geoip_country_code: country,
    $geoip_country_name: countryName(country),
    $geoip_subdivision_1_name: region,
    $geoip_city_name: city,
    $geoip_latitude: latitude,
    $geoip_longitude: longitude,
    $geoip_time_zone: timezone,
    $geoip_continent_code: continent,
    $geoip_continent_name: CONTINENTS.get(continent ?? ""),
  };
  return Object.fromEntries(
    Object.entries(named).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  );
}

/** In English; undefined for what is no country's code. */
function countryName(country: string | undefined): string | undefined {
  if (country === undefined || country === UNKNOWN || !/^[A-Z]{2}$/.test(country)) return undefined;
  return countries.of(country);
}
