import { DecodeError, DecompressedTooLargeError } from "../errors.ts";

/**
 * lz-string's base64 form, which old browser SDKs send. Read here and not by lz-string itself, because that cannot be told where to
 * stop: a phrase is one character longer than the one before it, so 100 KB become 1 GB.
 *
 * The format: codes of a width that grows with the dictionary, lowest bit first, from characters of six bits, highest bit first. 0
 * and 1 announce a new character of 8 and 16 bits, 2 ends the text, the rest are entries of the dictionary. A new character is an
 * entry; so is, after each code but the first, the phrase before with the first character of this one. That entry stands in the text
 * as a whole, where the phrase before begins, so the dictionary keeps places and lengths and no text.
 */
const NEW_BYTE = 0;
const NEW_UNIT = 1;
const END = 2;
const BITS_OF_CHARACTER = 6;
const FIRST_CODE_BITS = 2;
const SECOND_CODE_BITS = 3;
/** Codes that have the width of the second. */
const SECOND_CODE_ROOM = 4;
/** UTF-16 takes two bytes a unit, and the cap is for what the text takes in memory. */
const BYTES_OF_UNIT = 2;

const utf16 = new TextDecoder("utf-16le", { fatal: true, ignoreBOM: false });

/**
 * The text of `input`, the ASCII bytes of lz-string's base64. Throws 413 where it takes more than `maxBytes` in UTF-16, before any of
 * it is made; 400 where the input is no such text.
 */
export function decompressLz64(input: Uint8Array, maxBytes: number): string {
  // The first reading only measures, so that no bomb is unpacked and the second needs no buffer that grows.
  const units = new Lz64Reader(input, null).read(Math.floor(maxBytes / BYTES_OF_UNIT), maxBytes);
  const text = new Uint16Array(units);
  new Lz64Reader(input, text).read(units, maxBytes);
  try {
    return utf16.decode(text);
  } catch (error) {
    throw invalid(error);
  }
}

class Lz64Reader {
  readonly #bits: BitReader;
  readonly #text: Uint16Array | null;
  /** By code: where in the text an entry stands, and its length. The codes below the first entry's are no entries. */
  readonly #starts: number[] = [0, 0, 0];
  readonly #lengths: number[] = [0, 0, 0];
  #width = SECOND_CODE_BITS;
  #room = SECOND_CODE_ROOM;

  /** `text`: filled with the units; null only measures. */
  constructor(input: Uint8Array, text: Uint16Array | null) {
    this.#bits = new BitReader(input);
    this.#text = text;
  }

  /** Returns how many units the text has. */
  read(maxUnits: number, maxBytes: number): number {
    const first = this.#bits.take(FIRST_CODE_BITS);
    if (first === END) return 0;
    this.#takeNew(first, 0);
    let [at, length, end] = [0, 1, 1];
    for (let code = this.#takeCode(); code !== END; code = this.#takeCode()) {
      const [start, next] = this.#phrase(code, at, length, end);
      if (end + next > maxUnits) throw new DecompressedTooLargeError(maxBytes);
      this.#copy(start, next, end);
      this.#add(at, length + 1);
      this.#fill();
      [at, length, end] = [end, next, end + next];
    }
    return end;
  }

  #takeCode(): number {
    return this.#bits.take(this.#width);
  }

  /** Where the phrase of a code stands and how long it is; `at` and `length` are those of the phrase before, which ends at `end`. */
  #phrase(code: number, at: number, length: number, end: number): [start: number, length: number] {
    if (code < END) {
      this.#takeNew(code, end);
      this.#fill();
      return [end, 1];
    }
    // The entry that this very code makes: the phrase before with its own first character.
    if (code === this.#starts.length) return [at, length + 1];
    const start = this.#starts[code];
    if (start === undefined) throw invalid();
    return [start, this.#lengths[code] as number];
  }

  #takeNew(code: number, at: number): void {
    if (code !== NEW_BYTE && code !== NEW_UNIT) throw invalid();
    const unit = this.#bits.take(code === NEW_BYTE ? 8 : 16);
    if (this.#text !== null) this.#text[at] = unit;
    this.#add(at, 1);
  }

  #add(start: number, length: number): void {
    this.#starts.push(start);
    this.#lengths.push(length);
  }

  /** Counts an entry; the width grows when the codes of this one are used up. */
  #fill(): void {
    if (--this.#room > 0) return;
    this.#room = 2 ** this.#width;
    this.#width++;
  }

  #copy(start: number, length: number, to: number): void {
    const text = this.#text;
    if (text === null || start === to) return;
    text.copyWithin(to, start, Math.min(start + length, to));
    // A phrase that ends in its own first character reaches one unit into itself.
    if (start + length > to) text[to + length - 1] = text[start] as number;
  }
}

/** The six bits of each character, 255 for those that have none. */
const VALUES = new Uint8Array(256).fill(255);
for (const [value, char] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].entries()) {
  VALUES[char.charCodeAt(0)] = value;
}
/** Padding stands for bits that are all zero. */
VALUES["=".charCodeAt(0)] = 0;

class BitReader {
  readonly #input: Uint8Array;
  #next = 0;
  #value = 0;
  #left = 0;

  constructor(input: Uint8Array) {
    this.#input = input;
  }

  take(count: number): number {
    let taken = 0;
    for (let bit = 0; bit < count; bit++) {
      if (this.#left === 0) this.#load();
      this.#left--;
      taken |= ((this.#value >> this.#left) & 1) << bit;
    }
    return taken;
  }

  #load(): void {
    const value = VALUES[this.#input[this.#next++] ?? 0] as number;
    if (value === 255) throw invalid();
    this.#value = value;
    this.#left = BITS_OF_CHARACTER;
  }
}

function invalid(cause?: unknown): DecodeError {
  return new DecodeError("invalid LZ64 data", cause);
}
