import fc from "fast-check";
import { Reader } from "mmdb-lib";
import { describe, expect, it } from "vitest";
import { formatAddress, isIpv4, parseAddress } from "../address.ts";
import { type MmdbOptions, type MmdbValue, mmdbFile } from "../testing/mmdb-file.ts";
import { MmdbReader } from "./mmdb-reader.ts";
import { MmdbError, wantedOf } from "./mmdb-values.ts";

const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6().filter((text) => !isIpv4(parseAddress(text)!));
const mapped = ipv4.map((text) => `::ffff:${text}`);
const ipv4Network = fc.tuple(ipv4, fc.integer({ min: 1, max: 32 })).map(([address, bits]) => `${address}/${bits}`);
/** Not where an IPv6 tree has IPv4, which are other networks of the same name. */
const ipv6Network = fc
  .tuple(ipv6, fc.integer({ min: 16, max: 128 }))
  .filter(([address]) => parseAddress(address)![0] !== 0)
  .map(([address, bits]) => `${address}/${bits}`);

const text = fc.string({ unit: "grapheme", maxLength: 400 });
const scalar = fc.oneof(text, fc.double({ noNaN: true }), fc.nat(), fc.boolean());
const record = fc.dictionary(
  fc.constantFrom("a", "b", "names", "name", "iso_code"),
  fc.oneof(
    scalar,
    fc.dictionary(fc.constantFrom("en", "de", "x"), scalar),
    fc.array(fc.dictionary(fc.constantFrom("en", "names"), scalar), { maxLength: 3 }),
  ),
  { minKeys: 1 },
);
const recordSize = fc.constantFrom(24 as const, 28 as const, 32 as const);
const options: fc.Arbitrary<MmdbOptions> = fc.oneof(
  fc.record({
    ipVersion: fc.constant(6 as const),
    recordSize,
    networks: fc.dictionary(fc.oneof(ipv4Network, ipv6Network), record, { minKeys: 1, maxKeys: 12 }),
  }),
  fc.record({
    ipVersion: fc.constant(4 as const),
    recordSize,
    networks: fc.dictionary(ipv4Network, record, { minKeys: 1, maxKeys: 12 }),
  }),
);
const SHAPE = { a: true, names: { en: true, de: true }, iso_code: true } as const;

/** What the shape leaves of a value: the naive way. */
function cut(value: unknown, shape: unknown): unknown {
  const one = Array.isArray(value) ? value[0] : value;
  const isMap = typeof one === "object" && one !== null;
  if (shape === true) return isMap ? undefined : one;
  if (!isMap) return undefined;
  return Object.fromEntries(
    Object.entries(shape as object).flatMap(([key, below]) =>
      Object.hasOwn(one, key) ? [[key, cut((one as Record<string, unknown>)[key], below)]] : [],
    ),
  );
}

function read(reader: MmdbReader, address: string): unknown {
  const found = reader.find(parseAddress(address)!);
  return found === null ? null : reader.read(found, wantedOf(SHAPE));
}

describe("MmdbReader", () => {
  it("finds for every address what another reader of the format finds", () => {
    fc.assert(
      fc.property(options, fc.array(fc.oneof(ipv4, ipv6), { maxLength: 10 }), (given, addresses) => {
        const file = mmdbFile(given);
        const reader = new MmdbReader(file);
        const reference = new Reader<never>(file);
        const inside = Object.keys(given.networks).map((network) => network.split("/")[0]!);
        for (const one of [...addresses, ...inside]) {
          const address = formatAddress(parseAddress(one)!);
          // The other one takes IPv6 for IPv4 where a file has IPv4 alone.
          const known = address.includes(":") && given.ipVersion === 4 ? null : reference.get(address);
          expect(read(reader, address)).toEqual(known === null ? null : cut(known, SHAPE));
        }
      }),
    );
  });

  it("takes both spellings of an IPv4 address for one", () => {
    fc.assert(
      fc.property(options, mapped, (given, address) => {
        const inside = Object.keys(given.networks).filter((network) => !network.includes(":"));
        const reader = new MmdbReader(mmdbFile(given));
        for (const one of [address, ...inside.map((network) => `::ffff:${network.split("/")[0]}`)]) {
          expect(read(reader, one)).toEqual(read(reader, one.slice("::ffff:".length)));
        }
      }),
    );
  });

  it("reads what pointers of every length point to", () => {
    const filler = (bytes: number) => ({
      iso_code: "filler",
      b: Array.from({ length: bytes / 10_000 }, (_, i) => `${i}`.padEnd(10_000)),
    });
    const shared: MmdbValue = { en: "far away" };
    const networks = {
      "1.0.0.0/24": { names: shared },
      "2.0.0.0/24": { names: shared },
      "3.0.0.0/24": filler(600_000),
      "4.0.0.0/24": { names: { en: "behind it" } },
      "5.0.0.0/24": { names: { en: "behind it", de: "far away" } },
    };
    const reader = new MmdbReader(mmdbFile({ networks }));
    expect(read(reader, "2.0.0.1")).toEqual({ names: { en: "far away" } });
    expect(read(reader, "3.0.0.1")).toEqual({ iso_code: "filler" });
    expect(read(reader, "5.0.0.1")).toEqual({ names: { en: "behind it", de: "far away" } });
  });

  it("knows nothing of IPv6 where the file has IPv4 alone", () => {
    const reader = new MmdbReader(mmdbFile({ networks: { "0.0.0.0/1": { a: "low" } }, ipVersion: 4 }));
    expect(read(reader, "1.2.3.4")).toEqual({ a: "low" });
    expect(read(reader, "2001:db8::1")).toBeNull();
  });

  const valid = mmdbFile({ networks: { "1.0.0.0/8": { a: "x" }, "2001:db8::/32": { a: "y" } } });
  const changed = (from: string, to: string) => Buffer.from(valid.toString("latin1").replace(from, to), "latin1");
  it.each([
    ["nothing", Buffer.alloc(0), "is no MaxMind database (.mmdb), or has lost its end"],
    ["something else", Buffer.from("<html>".repeat(100_000)), "is no MaxMind database (.mmdb), or has lost its end"],
    ["one that is cut off", valid.subarray(0, -200), "is no MaxMind database (.mmdb), or has lost its end"],
    ["one that is cut off in its metadata", valid.subarray(0, -20), "is damaged"],
    ["one that has lost its beginning", valid.subarray(valid.length / 2), "has lost a part"],
    [
      "one of another version",
      changed("major_version\xc4\0\0\0\x02", "major_version\xc4\0\0\0\x03"),
      "is not in version 2 of the MaxMind DB format",
    ],
    [
      "one with records of a size that is none",
      changed("record_size\xc4\0\0\0\x1c", "record_size\xc4\0\0\0\x1d"),
      "says nothing sensible of itself",
    ],
  ])("refuses %s", (_what, bytes, message) => {
    expect(() => new MmdbReader(bytes)).toThrow(new MmdbError(message));
  });

  it("ends, and throws nothing but MmdbError, whatever bytes are damaged", () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(options, flips, ipv4, (given, changes, address) => {
        const file = mmdbFile(given);
        for (const [at, mask] of changes) file[at % file.length]! ^= mask;
        try {
          const reader = new MmdbReader(file);
          read(reader, address);
          for (const one of reader.someRecords(10)) reader.read(one, wantedOf(SHAPE));
        } catch (error) {
          expect(error).toBeInstanceOf(MmdbError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
