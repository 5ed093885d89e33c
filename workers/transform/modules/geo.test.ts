import { describe, expect, it } from "vitest";
import { geoProperties } from "./geo.ts";

const PLACE = {
  country: "DE",
  region: "Bavaria",
  city: "Munich",
  latitude: 48.1,
  longitude: 11.5,
  timezone: "Europe/Berlin",
  continent: "EU",
};

describe("geoProperties", () => {
  it("names what is known of a place or an event", () => {
    const properties = {
      $geoip_country_code: "DE",
      $geoip_country_name: "Germany",
      $geoip_subdivision_1_name: "Bavaria",
      $geoip_city_name: "Munich",
      $geoip_latitude: 48.1,
      $geoip_longitude: 11.5,
      $geoip_time_zone: "Europe/Berlin",
      $geoip_continent_code: "EU",
      $geoip_continent_name: "Europe",
    };
    expect(geoProperties(PLACE)).toEqual(properties);
    expect(geoProperties({ geo: PLACE })).toEqual(properties);
  });

  it("leaves out what is not", () => {
    expect(geoProperties({ country: "T1" })).toEqual({ $geoip_country_code: "T1" });
    expect(geoProperties({ country: "ZZ", continent: "toString" })).not.toHaveProperty("$geoip_country_name");
    expect(geoProperties({ geo: undefined })).toEqual({});
    expect(geoProperties({})).toEqual({});
    expect(geoProperties(undefined)).toEqual({});
  });
});
