import { type Address, isIpv4 } from "../address.ts";
import { MmdbError, MmdbValues, type Wanted, wantedOf } from "./mmdb-values.ts";

const MARKER = new Uint8Array([0xab, 0xcd, 0xef, ...new TextEncoder().encode("MaxMind.com")]);
/** Metadata stand at the end; the format says how large they may be. */
const METADATA_MAX_BYTES = 128 * 1024;
const METADATA = wantedOf({
  binary_format_major_version: true,
  database_type: true,
  ip_version: true,
  node_count: true,
  record_size: true,
});
const FORMAT_VERSION = 2;
/** Zeros between the tree and the values. */
const SEPARATOR_BYTES = 16;
const ADDRESS_BITS = 128;
/** Bits before an IPv4 address, which a tree of IPv6 holds as `::a.b.c.d`. */
const IPV4_OFFSET_BITS = 96;

/**
 * A database in the MaxMind DB format, version 2 (https://maxmind.github.io/MaxMind-DB/), read where it lies in memory: a binary tree
 * over the bits of an address, whose leaves point to values, and metadata behind them.
 */
export class MmdbReader {
  /** What the file calls itself: "GeoLite2-City". */
  readonly type: string;
  readonly #bytes: Uint8Array;
  readonly #isIpv4Only: boolean;
  readonly #nodeCount: number;
  readonly #recordBits: number;
  readonly #ipv4Node: number;
  readonly #values: MmdbValues;

  /** Throws MmdbError for bytes that are no database, or not all of one. */
  constructor(bytes: Uint8Array) {
    const metadataAt = afterMarker(bytes);
    const metadata = new MmdbValues(bytes, metadataAt).read(0, METADATA) ?? {};
    const { node_count: nodes, record_size: bits, ip_version: ip, binary_format_major_version: version } = metadata;
    if (version !== FORMAT_VERSION) throw new MmdbError(`is not in version ${FORMAT_VERSION} of the MaxMind DB format`);
    const isKnown = (bits === 24 || bits === 28 || bits === 32) && (ip === 4 || ip === 6);
    if (!isKnown || typeof nodes !== "number") throw new MmdbError("says nothing sensible of itself");
    const valuesAt = (nodes * bits) / 4 + SEPARATOR_BYTES;
    if (valuesAt > metadataAt) throw new MmdbError("has lost a part");
    this.type = String(metadata.database_type);
    this.#bytes = bytes;
    this.#isIpv4Only = ip === 4;
    this.#nodeCount = nodes;
    this.#recordBits = bits;
    this.#values = new MmdbValues(bytes, valuesAt);
    this.#ipv4Node = this.#isIpv4Only ? 0 : this.#walk(0, 0, IPV4_OFFSET_BITS, null);
  }

  /** The record of an address, for `read`; null where the database has none. Addresses of one place mostly share theirs. */
  find(address: Address): number | null {
    if (isIpv4(address)) return this.#recordOf(this.#walk(this.#ipv4Node, IPV4_OFFSET_BITS, ADDRESS_BITS, address));
    return this.#isIpv4Only ? null : this.#recordOf(this.#walk(0, 0, ADDRESS_BITS, address));
  }

  /** What of a record is wanted, as far as it has it. Throws MmdbError where the file is damaged there. */
  read(record: number, wanted: Wanted): Record<string, unknown> {
    return this.#values.read(record, wanted) ?? {};
  }

  /** Some of its records, each once. */
  someRecords(count: number): number[] {
    const found = new Set<number>();
    const waiting = [0];
    for (let steps = 0; waiting.length > 0 && found.size < count && steps < count * ADDRESS_BITS; steps++) {
      const node = waiting.pop() as number;
      const record = this.#recordOf(node);
      if (record !== null) found.add(record);
      else if (node < this.#nodeCount) waiting.push(this.#branch(node, 0), this.#branch(node, 1));
    }
    return [...found];
  }

  /** Where the bits of an address lead: to a leaf, or to the node at which they end. Null: nothing but zeros. */
  #walk(start: number, from: number, to: number, address: Address | null): number {
    let node = start;
    for (let at = from; at < to && node < this.#nodeCount; at++) {
      const bit = address === null ? 0 : ((address[at >> 4] as number) >> (15 - (at & 15))) & 1;
      node = this.#branch(node, bit);
    }
    return node;
  }

  /** A leaf is a number past those of the nodes; the first of them means that nothing is known. */
  #recordOf(node: number): number | null {
    return node > this.#nodeCount ? node - this.#nodeCount - SEPARATOR_BYTES : null;
  }

  #branch(node: number, bit: number): number {
    const at = (node * this.#recordBits) / 4;
    if (this.#recordBits === 24) return this.#uint24(at + bit * 3);
    if (this.#recordBits === 32) return this.#byte(at + bit * 4) * 0x1000000 + this.#uint24(at + bit * 4 + 1);
    // Both share the byte between them: the left one has its upper half.
    const middle = this.#byte(at + 3);
    return (bit === 0 ? middle >> 4 : middle & 15) * 0x1000000 + this.#uint24(at + bit * 4);
  }

  #uint24(at: number): number {
    return (this.#byte(at) << 16) | (this.#byte(at + 1) << 8) | this.#byte(at + 2);
  }

  /** The tree is all there: the constructor has looked. */
  #byte(at: number): number {
    return this.#bytes[at] as number;
  }
}

function afterMarker(bytes: Uint8Array): number {
  const first = Math.max(0, bytes.length - METADATA_MAX_BYTES);
  for (let at = bytes.length - MARKER.length; at >= first; at--) {
    if (MARKER.every((byte, i) => byte === bytes[at + i])) return at + MARKER.length;
  }
  throw new MmdbError("is no MaxMind database (.mmdb), or has lost its end");
}
