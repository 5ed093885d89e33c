import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { mmdbFile } from "../workers/capture/testing/mmdb-file.ts";
import { checkGeoipFile } from "./geoip-file.ts";
import { StartError } from "./start-error.ts";

const folder = mkdtempSync(join(tmpdir(), "headwater-geoip-"));
const places = mmdbFile({ networks: { "203.0.113.0/24": { country: { iso_code: "DE" } } } });

it("gives the folder and the name of a database of places", () => {
  writeFileSync(join(folder, "places.mmdb"), places);
  expect(checkGeoipFile(join(folder, "x/../places.mmdb"))).toEqual({ folder, name: "places.mmdb" });
});

it.each<[string, Uint8Array | null, string]>([
  ["none.mmdb", null, "does not exist"],
  ["page.mmdb", Buffer.from("<html>"), "is no MaxMind database (.mmdb), or has lost its end"],
  ["cut.mmdb", places.subarray(0, -300), "is no MaxMind database (.mmdb), or has lost its end"],
  [
    "asn.mmdb",
    mmdbFile({ networks: { "1.0.0.0/8": { autonomous_system_number: 1 } }, type: "GeoLite2-ASN" }),
    "has no places in it (it is a GeoLite2-ASN database); one like GeoLite2-City has",
  ],
])("says in one line what is wrong with %s", (name, bytes, cause) => {
  const file = join(folder, name);
  if (bytes !== null) writeFileSync(file, bytes);
  expect(() => checkGeoipFile(file)).toThrow(new StartError(`--geoip: ${file} ${cause}`));
});

it("refuses a folder, and a hidden file", () => {
  expect(() => checkGeoipFile(folder)).toThrow(new StartError(`--geoip: ${folder} is a folder`));
  expect(() => checkGeoipFile(join(folder, ".places.mmdb"))).toThrow("must not begin with a dot");
});
