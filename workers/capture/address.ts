/*
 * Addresses of the Internet as numbers. IPv4 is held as IPv6 holds it (::ffff:a.b.c.d), so that both spellings of an address are one.
 */

/** Eight groups of 16 bits. */
export type Address = readonly number[];

export interface Network {
  address: Address;
  /** Bits of the address that count, of 128. */
  prefix: number;
}

const GROUPS_COUNT = 8;
const GROUP_BITS = 16;
const ADDRESS_BITS = GROUPS_COUNT * GROUP_BITS;
/** Bits before an IPv4 address. */
const MAPPED_BITS = 96;
const MAPPED_GROUPS = [0, 0, 0, 0, 0, 0xffff];
/** Longer texts are no addresses: the longest is an IPv6 address that ends in an IPv4 one. */
const ADDRESS_MAX_CHARACTERS = 45;

const [ZERO, DOT] = [0x30, 0x2e];
const GROUP = /^[\da-f]{1,4}$/i;

/** Null where the text is no address. */
export function parseAddress(text: string): Address | null {
  if (text.length > ADDRESS_MAX_CHARACTERS) return null;
  if (!text.includes(":")) {
    const ipv4 = ipv4Groups(text);
    return ipv4 === null ? null : [...MAPPED_GROUPS, ...ipv4];
  }
  const [before = "", after, ...more] = text.split("::");
  if (more.length > 0) return null;
  const left = groupsOf(before, after === undefined);
  if (after === undefined) return left?.length === GROUPS_COUNT ? left : null;
  const right = groupsOf(after, true);
  if (left === null || right === null || left.length + right.length >= GROUPS_COUNT) return null;
  return [...left, ...new Array<number>(GROUPS_COUNT - left.length - right.length).fill(0), ...right];
}

/** The groups that are written out on one side of `::`. Only what ends the address may be an IPv4 one. */
function groupsOf(text: string, endsAddress: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const last = parts.at(-1) as string;
  const ipv4 = endsAddress && last.includes(".") ? ipv4Groups(last) : [];
  if (ipv4 === null) return null;
  if (ipv4.length > 0) parts.pop();
  if (!parts.every((part) => GROUP.test(part))) return null;
  return [...parts.map((part) => Number.parseInt(part, 16)), ...ipv4];
}

/** Without leading zeros, which some read as octal. Read by hand: every request's client has an address. */
function ipv4Groups(text: string): [number, number] | null {
  let [bits, bytes, byte] = [0, 1, -1];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const digit = code - ZERO;
    if (code === DOT && byte >= 0) {
      bits = bits * 256 + byte;
      bytes++;
      byte = -1;
    } else if (digit >= 0 && digit <= 9 && byte !== 0) byte = byte < 0 ? digit : byte * 10 + digit;
    else return null;
    if (byte > 255) return null;
  }
  if (bytes !== 4 || byte < 0) return null;
  return [Math.floor(bits / 256), (bits % 256) * 256 + byte];
}

export function isIpv4(address: Address): boolean {
  return MAPPED_GROUPS.every((group, at) => address[at] === group);
}

/** As RFC 5952 writes it; IPv4 with dots. */
export function formatAddress(address: Address): string {
  if (isIpv4(address)) {
    const [high, low] = address.slice(MAPPED_GROUPS.length) as [number, number];
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  }
  const { from, length } = longestZeros(address);
  const hex = address.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, from).join(":")}::${hex.slice(from + length).join(":")}`;
}

function longestZeros(address: Address): { from: number; length: number } {
  let best = { from: 0, length: 0 };
  for (let from = 0; from < GROUPS_COUNT; from++) {
    let length = 0;
    while (from + length < GROUPS_COUNT && address[from + length] === 0) length++;
    if (length > best.length) best = { from, length };
  }
  return best;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. Null where it is none of them. */
export function parseNetwork(text: string): Network | null {
  const [base = "", bits, ...more] = text.split("/");
  const address = parseAddress(base);
  if (address === null || more.length > 0) return null;
  if (bits === undefined) return { address, prefix: ADDRESS_BITS };
  const offset = base.includes(":") ? 0 : MAPPED_BITS;
  if (!/^\d{1,3}$/.test(bits) || Number(bits) + offset > ADDRESS_BITS) return null;
  return { address, prefix: Number(bits) + offset };
}

export function isWithin(address: Address, network: Network): boolean {
  const base = cut(network.address, network.prefix);
  return cut(address, network.prefix).every((group, at) => group === base[at]);
}

/** The address with nothing but its first bits. */
function cut(address: Address, bits: number): Address {
  return address.map((group, at) => {
    const left = Math.min(GROUP_BITS, Math.max(0, bits - at * GROUP_BITS));
    return group & (0xffff << (GROUP_BITS - left));
  });
}

/** What is left of an address that shall name no household: the last byte of IPv4, 80 bits of IPv6 go. */
const MASK_IPV4_BITS = MAPPED_BITS + 24;
const MASK_IPV6_BITS = 48;

/** Its /24 or /48; null for a text that is no address. */
export function maskAddress(text: string): string | null {
  const address = parseAddress(text);
  if (address === null) return null;
  return formatAddress(cut(address, isIpv4(address) ? MASK_IPV4_BITS : MASK_IPV6_BITS));
}
