import { describe, expect, it } from "vitest";
import { parseAddress } from "../address.ts";
import { type MmdbValue, mmdbFile } from "../testing/mmdb-file.ts";
import { GeoDatabase } from "./geo-database.ts";

const names = (en: string, de = en) => ({ de, en, "zh-CN": "某地" });

const MAXMIND = {
  city: { geoname_id: 2867714, names: names("Munich", "München") },
  continent: { code: "EU", geoname_id: 6255148, names: names("Europe", "Europa") },
  country: { geoname_id: 2921044, is_in_european_union: true, iso_code: "DE", names: names("Germany", "Deutschland") },
  location: { accuracy_radius: 20, latitude: 48.1374, longitude: 11.5755, time_zone: "Europe/Berlin" },
  postal: { code: "80331" },
  registered_country: { geoname_id: 6252001, iso_code: "US", names: names("United States") },
  subdivisions: [
    { geoname_id: 2951839, iso_code: "BY", names: names("Bavaria", "Bayern") },
    { geoname_id: 2861322, iso_code: "91", names: names("Upper Bavaria") },
  ],
};
const DB_IP = {
  city: { names: { en: "Buenos Aires (Retiro)" } },
  continent: { code: "SA", geoname_id: 6255150, names: names("South America") },
  country: { geoname_id: 3865483, is_in_european_union: false, iso_code: "AR", names: names("Argentina") },
  location: { latitude: -34.5875, longitude: -58.3789 },
  subdivisions: [{ names: { en: "Buenos Aires F.D." } }],
};

function placed(record: MmdbValue, address = "203.0.113.7", networks = ["203.0.113.0/24"]) {
  const others = { "9.9.9.0/24": { country: { iso_code: "US" } } };
  const file = mmdbFile({
    networks: { ...others, ...Object.fromEntries(networks.map((network) => [network, record])) },
  });
  return new GeoDatabase(file).find(parseAddress(address)!);
}

describe("GeoDatabase", () => {
  const munich = {
    ...{ country: "DE", region: "Bavaria", city: "Munich", continent: "EU" },
    ...{ latitude: 48.1374, longitude: 11.5755, timezone: "Europe/Berlin" },
  };

  it.each<[string, MmdbValue, unknown]>([
    ["MaxMind's", MAXMIND, munich],
    [
      "DB-IP's, which has no time zones",
      DB_IP,
      {
        ...{ country: "AR", region: "Buenos Aires F.D.", city: "Buenos Aires (Retiro)", continent: "SA" },
        ...{ latitude: -34.5875, longitude: -58.3789 },
      },
    ],
    [
      "one of countries",
      { continent: MAXMIND.continent, country: MAXMIND.country },
      { country: "DE", continent: "EU" },
    ],
    ["a region that has a code and no name", { subdivisions: [{ iso_code: "BY" }] }, { region: "BY" }],
    [
      "a city that has no English name",
      { city: { names: { de: "München" } }, country: MAXMIND.country },
      { country: "DE" },
    ],
    ["on the equator", { location: { latitude: 0, longitude: 0 } }, { latitude: 0, longitude: 0 }],
    ["the registered country alone, which is no place", { registered_country: { iso_code: "US" } }, undefined],
    ["values of other types", { country: "DE", city: [], location: { latitude: "48", time_zone: 1 } }, undefined],
  ])("reads %s", (_what, record, geo) => {
    expect(placed(record)).toEqual(geo);
  });

  it.each([
    ["IPv4", "203.0.113.7", ["203.0.113.0/24"]],
    ["IPv4 written as IPv6", "::ffff:203.0.113.7", ["203.0.113.0/24"]],
    ["IPv6", "2001:db8::7", ["2001:db8::/32"]],
    ["the smaller of two networks", "203.0.113.7", ["203.0.113.0/29"]],
  ])("places %s", (_what, address, networks) => {
    expect(placed(MAXMIND, address, networks)).toEqual(munich);
  });

  it.each(["203.0.114.7", "127.0.0.1", "::1", "2001:db8::1"])(
    "does not place %s, which it does not know",
    (address) => {
      expect(placed(MAXMIND, address)).toBeUndefined();
    },
  );

  it("has one object for the addresses of a place, also once many others were read", () => {
    const networks: Record<string, MmdbValue> = { "203.0.113.0/24": MAXMIND, "198.51.100.0/24": MAXMIND };
    for (let i = 0; i < 12_000; i++)
      networks[`10.${i >> 8}.${i & 255}.0/24`] = { city: { names: { en: `City ${i}` } } };
    const database = new GeoDatabase(mmdbFile({ networks }));
    const find = (address: string) => database.find(parseAddress(address)!);
    const first = find("203.0.113.7");
    expect(find("198.51.100.1")).toBe(first);
    for (let i = 0; i < 12_000; i++) expect(find(`10.${i >> 8}.${i & 255}.9`)).toEqual({ city: `City ${i}` });
    expect(find("203.0.113.9")).toEqual(munich);
    expect(find("203.0.113.9")).toBe(find("198.51.100.2"));
  });

  it("refuses a database of something else, and says what it is", () => {
    const record = { autonomous_system_number: 64_496, autonomous_system_organization: "Example" };
    const file = mmdbFile({ networks: { "203.0.113.0/24": record }, type: "GeoLite2-ASN" });
    expect(() => new GeoDatabase(file)).toThrow(
      "has no places in it (it is a GeoLite2-ASN database); one like GeoLite2-City has",
    );
  });

  const damaged = (networks: Record<string, MmdbValue>) => {
    const file = mmdbFile({ networks: { ...networks, "203.0.113.0/24": MAXMIND } });
    // A size that leads past the end of the file.
    file.write("\x5f\xff\xff\xff", file.indexOf("Munich") - 1, "latin1");
    return file;
  };

  it("is not opened where what it looks at is damaged", () => {
    expect(() => new GeoDatabase(damaged({}))).toThrow("is damaged");
  });

  it("finds nothing where the file is damaged elsewhere, and goes on", () => {
    const networks: Record<string, MmdbValue> = {};
    for (let i = 0; i < 200; i++) networks[`223.0.${i}.0/24`] = { city: { names: { en: `City ${i}` } } };
    const database = new GeoDatabase(damaged(networks));
    expect(database.find(parseAddress("203.0.113.7")!)).toBeUndefined();
    expect(database.find(parseAddress("223.0.9.9")!)).toEqual({ city: "City 9" });
  });
});
