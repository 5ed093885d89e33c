/** How much of a text tells base64 from JSON and forms; all of a body of megabytes would have to be read twice. */
const LOOKED_AT_BYTES = 128;

const PADDING = 0x3d;
/** Value of a character of the standard alphabet; negative for every other byte. */
const VALUE = new Int8Array(256).fill(-1);
for (const [value, char] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].entries()) {
  VALUE[char.charCodeAt(0)] = value;
}
const SPACE = 0x20;

/** Whether the bytes may be base64. JSON of events never is: it begins with a bracket. */
export function looksBase64(bytes: Uint8Array): boolean {
  if (bytes.length === 0 || bytes.length % 4 !== 0) return false;
  const end = Math.min(bytes.length, LOOKED_AT_BYTES);
  for (let at = 0; at < end; at++) if (!mayBeBase64(bytes[at] as number)) return false;
  return true;
}

/** The same for a text whose `+` a form has turned into spaces. */
export function looksBase64WithSpaces(text: string): boolean {
  const end = Math.min(text.length, LOOKED_AT_BYTES);
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code !== SPACE && !mayBeBase64(code)) return false;
  }
  return end > 0;
}

function mayBeBase64(code: number): boolean {
  return code === PADDING || (VALUE[code] as number) >= 0;
}

/**
 * Null, and the bytes as they were, where it is no base64 after all. Else the result takes the place of the bytes, so that a large body
 * is not there twice.
 */
export function fromBase64(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | null {
  const end = unpaddedLength(bytes);
  if (end % 4 === 1) return null;
  // Negative once one of them is.
  let all = 0;
  for (let at = 0; at < end; at++) all |= VALUE[bytes[at] as number] as number;
  if (all < 0) return null;
  const rest = end % 4;
  let length = 0;
  for (let at = 0; at < end - rest; at += 4) {
    const bits =
      ((VALUE[bytes[at] as number] as number) << 18) |
      ((VALUE[bytes[at + 1] as number] as number) << 12) |
      ((VALUE[bytes[at + 2] as number] as number) << 6) |
      (VALUE[bytes[at + 3] as number] as number);
    bytes[length++] = bits >> 16;
    bytes[length++] = bits >> 8;
    bytes[length++] = bits;
  }
  if (rest === 0) return bytes.subarray(0, length);
  const first = VALUE[bytes[end - rest] as number] as number;
  const second = VALUE[bytes[end - rest + 1] as number] as number;
  bytes[length++] = (first << 2) | (second >> 4);
  if (rest === 3) bytes[length++] = (second << 4) | ((VALUE[bytes[end - 1] as number] as number) >> 2);
  return bytes.subarray(0, length);
}

/** Up to two characters of padding fill the last four. */
function unpaddedLength(bytes: Uint8Array): number {
  const { length } = bytes;
  if (length % 4 !== 0) return length;
  if (bytes[length - 1] !== PADDING) return length;
  return bytes[length - 2] === PADDING ? length - 2 : length - 1;
}
