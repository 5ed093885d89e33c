/*
 * Writes databases in the MaxMind DB format, version 2 (https://maxmind.github.io/MaxMind-DB/), small ones for tests: a binary tree over
 * the bits of an address, whose leaves point into a section of self-describing values, and metadata behind them.
 */
import { type Network, parseNetwork } from "../address.ts";

export interface MmdbOptions {
  /** CIDR → the record of its addresses; a smaller network goes before a larger one around it. */
  networks: Readonly<Record<string, MmdbValue>>;
  /** 4: a database that knows nothing of IPv6. */
  ipVersion?: 4 | 6;
  /** Bits of a pointer in the tree. */
  recordSize?: 24 | 28 | 32;
  type?: string;
}

/** Small integers are written as uint32, other numbers as doubles. */
export type MmdbValue = string | number | boolean | MmdbValue[] | { [key: string]: MmdbValue };

type Node = [left: Branch, right: Branch];
type Branch = Node | { record: MmdbValue } | null;

const SEPARATOR = new Uint8Array(16);
const MARKER = new Uint8Array([0xab, 0xcd, 0xef, ...new TextEncoder().encode("MaxMind.com")]);
/** Where `::a.b.c.d` begins, which is where an IPv6 tree holds IPv4. */
const IPV4_BITS = 96;

export function mmdbFile({ networks, ipVersion = 6, recordSize = 28, type = "Test-City" }: MmdbOptions): Buffer {
  const root: Node = [null, null];
  const parsed = Object.entries(networks).map(([cidr, record]) => ({ bits: bitsOf(cidr, ipVersion), record }));
  // Larger networks first: what is inside of them splits them up.
  for (const { bits, record } of parsed.sort((a, b) => a.bits.length - b.bits.length)) insert(root, bits, record);
  const nodes = numbered(root);
  const values = new Values();
  const records = new Map<MmdbValue, number>();
  for (const { record } of parsed) if (!records.has(record)) records.set(record, values.add(record));
  const numberOf = (branch: Branch): number => {
    if (branch === null) return nodes.size;
    if (Array.isArray(branch)) return nodes.get(branch) as number;
    return nodes.size + SEPARATOR.length + (records.get(branch.record) as number);
  };
  const tree = [...nodes.keys()].map(([left, right]) => nodeBytes(numberOf(left), numberOf(right), recordSize));
  const metadata = new Values();
  metadata.add({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_790_000_000,
    database_type: type,
    description: { en: "a test" },
    ip_version: ipVersion,
    languages: ["en"],
    node_count: nodes.size,
    record_size: recordSize,
  });
  return Buffer.concat([...tree, SEPARATOR, ...values.parts, MARKER, ...metadata.parts]);
}

function bitsOf(cidr: string, ipVersion: 4 | 6): number[] {
  const { address, prefix } = parseNetwork(cidr) as Network;
  const bits = address.flatMap((group) => Array.from({ length: 16 }, (_, at) => (group >> (15 - at)) & 1));
  if (cidr.includes(":")) return bits.slice(0, prefix);
  const ipv4 = bits.slice(IPV4_BITS, prefix);
  return ipVersion === 4 ? ipv4 : [...new Array<number>(IPV4_BITS).fill(0), ...ipv4];
}

function insert(root: Node, bits: readonly number[], record: MmdbValue): void {
  let node = root;
  for (const bit of bits.slice(0, -1)) {
    const next = node[bit as 0 | 1];
    const below: Node = Array.isArray(next) ? next : [next, next];
    node[bit as 0 | 1] = below;
    node = below;
  }
  node[bits.at(-1) as 0 | 1] = { record };
}

function numbered(root: Node): Map<Node, number> {
  const nodes = new Map<Node, number>();
  const waiting: Branch[] = [root];
  for (let at = 0; at < waiting.length; at++) {
    const branch = waiting[at] as Branch;
    if (!Array.isArray(branch)) continue;
    nodes.set(branch, nodes.size);
    waiting.push(...branch);
  }
  return nodes;
}

function nodeBytes(left: number, right: number, recordSize: 24 | 28 | 32): Buffer {
  const bytes = Buffer.alloc(recordSize / 4);
  const half = Math.floor(recordSize / 8);
  bytes.writeUIntBE(recordSize === 28 ? left % 2 ** 24 : left, 0, half);
  bytes.writeUIntBE(recordSize === 28 ? right % 2 ** 24 : right, bytes.length - half, half);
  // The byte between both holds what is above 24 bits of them.
  if (recordSize === 28) bytes[half] = (left >>> 24) * 16 + (right >>> 24);
  return bytes;
}

const BEHIND_EXTENDED_TYPE = 7;
/** How far pointers of one, two and three bytes reach, and what each counts from. */
const POINTERS = [
  { bytes: 1, from: 0, to: 2_048 },
  { bytes: 2, from: 2_048, to: 526_336 },
  { bytes: 3, from: 526_336, to: 134_744_064 },
];

/** Values one after the other; a text or an object that is there already becomes a pointer to it. */
class Values {
  readonly parts: Buffer[] = [];
  readonly #known = new Map<MmdbValue, number>();
  #size = 0;

  /** Gives where it begins. */
  add(value: MmdbValue): number {
    const at = this.#size;
    this.#write(value);
    return at;
  }

  #write(value: MmdbValue): void {
    const known = this.#known.get(value);
    if (known === undefined && (typeof value === "object" || typeof value === "string")) {
      this.#known.set(value, this.#size);
    }
    if (known !== undefined) this.#pointer(known);
    else if (typeof value === "string") this.#field(2, Buffer.byteLength(value), Buffer.from(value));
    else if (typeof value === "boolean") this.#field(14, value ? 1 : 0);
    else if (typeof value === "number") this.#number(value);
    else if (Array.isArray(value)) {
      this.#field(11, value.length);
      for (const item of value) this.#write(item);
    } else {
      const entries = Object.entries(value);
      this.#field(7, entries.length);
      for (const item of entries.flat()) this.#write(item);
    }
  }

  #number(value: number): void {
    const isUint32 = Number.isInteger(value) && value >= 0 && value < 2 ** 32;
    const bytes = Buffer.alloc(isUint32 ? 4 : 8);
    if (isUint32) bytes.writeUInt32BE(value);
    else bytes.writeDoubleBE(value);
    this.#field(isUint32 ? 6 : 3, bytes.length, bytes);
  }

  #pointer(target: number): void {
    const kind = POINTERS.findIndex(({ to }) => target < to);
    const { bytes, from } = POINTERS[kind]!;
    const pointer = Buffer.alloc(bytes + 1);
    pointer.writeUIntBE(target - from, 0, bytes + 1);
    // Its highest bits share a byte with the type and the length.
    pointer[0] = pointer[0]! | 0x20 | (kind << 3);
    this.#push(pointer);
  }

  #field(type: number, size: number, payload = Buffer.alloc(0)): void {
    const [small, more] =
      size < 29 ? [size, []] : size < 285 ? [29, [size - 29]] : [30, [(size - 285) >> 8, (size - 285) & 255]];
    const head = type <= BEHIND_EXTENDED_TYPE ? [(type << 5) | small] : [small, type - BEHIND_EXTENDED_TYPE];
    this.#push(Buffer.concat([Buffer.from([...head, ...more]), payload]));
  }

  #push(bytes: Buffer): void {
    this.parts.push(bytes);
    this.#size += bytes.length;
  }
}
