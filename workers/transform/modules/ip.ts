/** `headwater:ip`: client addresses, and what is left of them when nobody shall be found by one. */

const V4_BITS = 32;
const ADDRESS_MAX_CHARS = 64;

export interface MaskOptions {
  /** Bits of an IPv4 address to keep. Default: 24, so the last number becomes 0 */
  v4?: number;
  /** Bits of an IPv6 address to keep. Default: 48, a whole site */
  v6?: number;
}

/** Address blocks that are nobody's on the internet: bytes of the start, and how many bits of them count. */
const PRIVATE_V4: [number[], number][] = [
  [[10], 8],
  [[172, 16], 12],
  [[192, 168], 16],
  [[127], 8],
  [[169, 254], 16],
  [[100, 64], 10],
  [[0], 8],
];
const PRIVATE_V6: [number[], number][] = [
  [[0xfc], 7],
  [[0xfe, 0x80], 10],
  [new Array<number>(16).fill(0), 128],
  [[...new Array<number>(15).fill(0), 1], 128],
];

export function isIp(ip: unknown): boolean {
  return bytesOf(ip) !== null;
}

/** Private, loopback, link-local and carrier-grade addresses. False for what is no address. */
export function isPrivateIp(ip: unknown): boolean {
  const bytes = bytesOf(ip);
  if (bytes === null) return false;
  const blocks = bytes.length === 4 ? PRIVATE_V4 : PRIVATE_V6;
  return blocks.some(([start, bits]) => agree(bytes, start, bits));
}

/** The address with its last bits 0; null for what is no address. An IPv4 address inside of an IPv6 one counts as itself. */
export function maskIp(ip: unknown, { v4 = 24, v6 = 48 }: MaskOptions = {}): string | null {
  const bytes = bytesOf(ip);
  if (bytes === null) return null;
  const kept = bytes.length === 4 ? v4 : v6;
  const masked = bytes.map((byte, i) => byte & maskOf(kept - i * 8));
  return masked.length === 4 ? masked.join(".") : formatV6(masked);
}

/** Four or sixteen bytes. */
function bytesOf(ip: unknown): number[] | null {
  if (typeof ip !== "string" || ip.length > ADDRESS_MAX_CHARS) return null;
  if (!ip.includes(":")) return parseV4(ip);
  const bytes = parseV6(ip);
  return bytes !== null && agree(bytes, MAPPED, V6_MAPPED_BITS) ? bytes.slice(12) : bytes;
}

const MAPPED = [...new Array<number>(10).fill(0), 0xff, 0xff];
const V6_MAPPED_BITS = 128 - V4_BITS;

function parseV4(text: string): number[] | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const bytes = match === null ? [] : match.slice(1).map(Number);
  return bytes.length === 4 && bytes.every((byte) => byte <= 255) ? bytes : null;
}

function parseV6(text: string): number[] | null {
  const [address = ""] = text.split("%");
  const halves = address.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map(groupsOf);
  if (head === null || head === undefined || tail === null) return null;
  if (tail === undefined) return head.length === 16 ? head : null;
  const missing = 16 - head.length - tail.length;
  return missing < 2 ? null : [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function groupsOf(half: string): number[] | null {
  if (half === "") return [];
  const groups = half.split(":");
  const bytes: number[] = [];
  for (const [i, group] of groups.entries()) {
    const v4 = i === groups.length - 1 ? parseV4(group) : null;
    if (v4 !== null) bytes.push(...v4);
    else if (/^[0-9a-f]{1,4}$/i.test(group))
      bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff);
    else return null;
  }
  return bytes;
}

function agree(bytes: readonly number[], start: readonly number[], bits: number): boolean {
  return start.every((byte, i) => {
    const mask = maskOf(bits - i * 8);
    return ((bytes[i] as number) & mask) === (byte & mask);
  });
}

/** Of a byte, how much counts where so many bits are left. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : (0xff << Math.max(0, 8 - bits)) & 0xff;
}

/** RFC 5952: the longest run of zeros, from the left, becomes `::`. */
function formatV6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[i * 2] as number) << 8) | (bytes[i * 2 + 1] as number));
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > longest.length) longest = { start, length };
  }
  const written = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (longest.length < 2) return written(groups);
  return `${written(groups.slice(0, longest.start))}::${written(groups.slice(longest.start + longest.length))}`;
}
