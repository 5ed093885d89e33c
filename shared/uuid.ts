/** UUIDs as text and as bytes. Hand-rolled because every accepted event passes through here: no regular expression, no allocation. */
export const UUID_BYTES = 16;

const HYPHEN = 0x2d;
const LAST_HEX_DIGIT = 0x66;
const CANONICAL_LENGTH = 36;
const SIMPLE_LENGTH = 32;
const BRACED_LENGTH = 38;
const URN = "urn:uuid:";

/** Where each byte's two digits stand in `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, and in the same without hyphens. */
const CANONICAL_OFFSETS = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34);
const SIMPLE_OFFSETS = Uint8Array.from({ length: UUID_BYTES }, (_, byte) => byte * 2);

/** Value of a hex digit by its character code; negative where it is none. */
const DIGIT = new Int8Array(LAST_HEX_DIGIT + 1).fill(-1);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  DIGIT[digit.charCodeAt(0)] = value;
  DIGIT[digit.toUpperCase().charCodeAt(0)] = value;
}
const BYTE_TEXT = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Fills `bytes` with random values. */
export type FillRandom = (bytes: Uint8Array<ArrayBuffer>) => void;

/**
 * Reads a UUID in any of its written forms (hyphenated, 32 digits, braced, URN; either case) into 16 bytes of `into`, from `at` on.
 * False where the text is none; `into` may then hold part of it.
 */
export function parseUuid(text: string, into: Uint8Array, at = 0): boolean {
  switch (text.length) {
    case CANONICAL_LENGTH:
      return hasHyphens(text) && parseDigits(text, CANONICAL_OFFSETS, into, at);
    case SIMPLE_LENGTH:
      return parseDigits(text, SIMPLE_OFFSETS, into, at);
    case BRACED_LENGTH:
      return text.startsWith("{") && text.endsWith("}") && parseUuid(text.slice(1, -1), into, at);
    case CANONICAL_LENGTH + URN.length:
      return text.startsWith(URN) && parseUuid(text.slice(URN.length), into, at);
    default:
      return false;
  }
}

/** 16 bytes, from `at` on, as lower-case hyphenated text. */
export function formatUuid(bytes: Uint8Array, at = 0): string {
  let text = "";
  for (let byte = 0; byte < UUID_BYTES; byte++) {
    if (byte === 4 || byte === 6 || byte === 8 || byte === 10) text += "-";
    text += BYTE_TEXT[bytes[at + byte] as number];
  }
  return text;
}

const scratch = new Uint8Array(UUID_BYTES);

/** The UUID in its canonical form, which is the text itself where it already is; null where it is none. */
export function canonicalUuid(text: string): string | null {
  if (!parseUuid(text, scratch)) return null;
  return text.length === CANONICAL_LENGTH && text === text.toLowerCase() ? text : formatUuid(scratch);
}

function hasHyphens(text: string): boolean {
  return (
    text.charCodeAt(8) === HYPHEN &&
    text.charCodeAt(13) === HYPHEN &&
    text.charCodeAt(18) === HYPHEN &&
    text.charCodeAt(23) === HYPHEN
  );
}

function parseDigits(text: string, offsets: Uint8Array, into: Uint8Array, at: number): boolean {
  for (let byte = 0; byte < UUID_BYTES; byte++) {
    const offset = offsets[byte] as number;
    const high = text.charCodeAt(offset);
    const low = text.charCodeAt(offset + 1);
    if (high > LAST_HEX_DIGIT || low > LAST_HEX_DIGIT) return false;
    const value = ((DIGIT[high] as number) << 4) | (DIGIT[low] as number);
    if (value < 0) return false;
    into[at + byte] = value;
  }
  return true;
}

/** Random bytes are drawn for this many UUIDs at once, because a draw costs more than the bytes. */
const POOLED_COUNT = 64;
const COUNTER_MAX = 0xfff;
/** A fresh millisecond's counter starts below this, so that half of its range is left to count in. */
const COUNTER_START_MASK = 0x7ff;
const VERSION_7 = 0x70;
const VARIANT = 0x80;

/**
 * Makes UUIDv7s that sort in the order in which they were made (RFC 9562, 6.2 method 1): 48 bits of time, 12 bits that count within
 * the millisecond, 62 random bits. A clock that steps back, or a counter that runs over, moves on from the latest time used.
 */
export class UuidV7 {
  readonly #fillRandom: FillRandom;
  readonly #pool = new Uint8Array(POOLED_COUNT * UUID_BYTES);
  readonly #bytes = new Uint8Array(UUID_BYTES);
  #used = POOLED_COUNT;
  #latestMs = -1;
  #counter = 0;

  constructor(fillRandom: FillRandom) {
    this.#fillRandom = fillRandom;
  }

  next(nowMs: number): string {
    const at = this.#draw();
    if (nowMs > this.#latestMs) this.#startMs(nowMs, at);
    else if (++this.#counter > COUNTER_MAX) this.#startMs(this.#latestMs + 1, at);
    const bytes = this.#bytes;
    let rest = this.#latestMs;
    for (let byte = 5; byte >= 0; byte--) {
      bytes[byte] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    bytes[6] = VERSION_7 | (this.#counter >> 8);
    bytes[7] = this.#counter & 0xff;
    for (let byte = 8; byte < UUID_BYTES; byte++) bytes[byte] = this.#pool[at + byte] as number;
    bytes[8] = VARIANT | ((bytes[8] as number) & 0x3f);
    return formatUuid(bytes);
  }

  #startMs(ms: number, at: number): void {
    this.#latestMs = ms;
    this.#counter = (((this.#pool[at] as number) << 8) | (this.#pool[at + 1] as number)) & COUNTER_START_MASK;
  }

  #draw(): number {
    if (this.#used === POOLED_COUNT) {
      this.#fillRandom(this.#pool);
      this.#used = 0;
    }
    return this.#used++ * UUID_BYTES;
  }
}
