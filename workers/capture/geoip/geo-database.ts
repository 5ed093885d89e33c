import type { Geo } from "../../../shared/event.ts";
import type { Address } from "../address.ts";
import { MmdbReader } from "./mmdb-reader.ts";
import { MmdbError, wantedOf } from "./mmdb-values.ts";

/** As MaxMind lays out a place, and DB-IP after it. A region has its name, as it has on Cloudflare, and no code. */
const PLACE = wantedOf({
  continent: { code: true },
  country: { iso_code: true },
  subdivisions: { names: { en: true }, iso_code: true },
  city: { names: { en: true } },
  location: { latitude: true, longitude: true, time_zone: true },
});
/** Places that are kept once they are read, twice over: a few megabytes, and more than there are busy cities. */
const KEPT_PLACES_COUNT = 5_000;
/** Enough to tell a database of places from one of something else. */
const LOOKED_AT_COUNT = 100;

/** Where addresses are: GeoLite2-City, GeoIP2-City, DB-IP City, those of countries alone, and what is laid out as they are. */
export class GeoDatabase {
  readonly #reader: MmdbReader;
  /** By record. Null: it has nothing of a place, or cannot be read. */
  #places = new Map<number, Geo | null>();
  /** Those before them. To take the oldest out of one map, one by one, costs more than the lookups: it is full of holes at its front. */
  #olderPlaces = new Map<number, Geo | null>();

  /** Throws MmdbError for bytes that are no such database. */
  constructor(bytes: Uint8Array) {
    this.#reader = new MmdbReader(bytes);
    const records = this.#reader.someRecords(LOOKED_AT_COUNT);
    if (!records.some((record) => geoOf(this.#reader.read(record, PLACE)) !== null)) {
      throw new MmdbError(`has no places in it (it is a ${this.#reader.type} database); one like GeoLite2-City has`);
    }
  }

  /** Addresses of one place have one object. Never throws. */
  find(address: Address): Geo | undefined {
    const record = this.#reader.find(address);
    if (record === null) return undefined;
    let geo = this.#places.get(record);
    if (geo !== undefined) return geo ?? undefined;
    geo = this.#olderPlaces.get(record);
    if (geo === undefined) geo = this.#read(record);
    this.#keep(record, geo);
    return geo ?? undefined;
  }

  #keep(record: number, geo: Geo | null): void {
    if (this.#places.size >= KEPT_PLACES_COUNT) {
      this.#olderPlaces = this.#places;
      this.#places = new Map();
    }
    this.#places.set(record, geo);
  }

  #read(record: number): Geo | null {
    try {
      return geoOf(this.#reader.read(record, PLACE));
    } catch {
      // Damaged there: what is not known of a place must not cost an event.
      return null;
    }
  }
}

function geoOf(record: Record<string, unknown>): Geo | null {
  const { continent, country, subdivisions: region, city, location } = record as Record<string, Part | undefined>;
  const geo: Geo = {};
  put(geo, "country", text(country?.iso_code));
  put(geo, "region", text(region?.names?.en) ?? text(region?.iso_code));
  put(geo, "city", text(city?.names?.en));
  put(geo, "latitude", degrees(location?.latitude));
  put(geo, "longitude", degrees(location?.longitude));
  put(geo, "timezone", text(location?.time_zone));
  put(geo, "continent", text(continent?.code));
  for (const _field in geo) return geo;
  return null;
}

type Part = { [key: string]: unknown; names?: { en?: unknown } };

function put<K extends keyof Geo>(geo: Geo, name: K, value: Geo[K] | undefined): void {
  if (value !== undefined) geo[name] = value;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function degrees(value: unknown): number | undefined {
  return Number.isFinite(value) ? (value as number) : undefined;
}
