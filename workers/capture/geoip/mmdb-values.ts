/*
 * The values of a database in the MaxMind DB format, version 2 (https://maxmind.github.io/MaxMind-DB/): each begins with its type and its
 * size, and may be a pointer to one that stands elsewhere.
 *
 * Of a map only what is wanted becomes an object: the names of a place come in eight languages, and to decode them all takes most of the
 * time of a lookup. Whatever the bytes are, a read ends: a pointer leads to no other pointer, nothing is recursive but along the shape.
 */

/** Bytes that are no such database, or not all of one. The message goes on after the file's name. */
export class MmdbError extends Error {
  override readonly name = "MmdbError";
}

/** Keys of a map, each with those that are wanted below it; `true` for a value itself. A list stands for its first element. */
export interface Shape {
  readonly [key: string]: Shape | true;
}

/** A shape with its keys as a file has them. */
export type Wanted = readonly { readonly key: string; readonly bytes: Uint8Array; readonly below: Wanted | null }[];

export function wantedOf(shape: Shape): Wanted {
  const encoder = new TextEncoder();
  return Object.entries(shape).map(([key, below]) => ({
    key,
    bytes: encoder.encode(key),
    below: below === true ? null : wantedOf(below),
  }));
}

const EXTENDED = 0;
const POINTER = 1;
const TEXT = 2;
const DOUBLE = 3;
const UINT16 = 5;
const UINT32 = 6;
const MAP = 7;
const INT32 = 8;
const LIST = 11;
const BOOLEAN = 14;
const FLOAT = 15;
/** Types above this one are written in a byte of their own, less it. */
const EXTENDED_FROM = 7;
/** What a pointer counts from, by the bytes that it has. */
const POINTER_BASES = [0, 2_048, 526_336, 0];
/** What a size counts from that has one, two or three bytes of its own. */
const SIZE_BASES = [29, 285, 65_821];

export class MmdbValues {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #text = new TextDecoder();
  readonly #start: number;
  /** Of the value whose head was read last. */
  #type = 0;
  #size = 0;

  /** `start`: where the section begins; pointers count from there. */
  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = start;
  }

  /** What is wanted of the map there, as far as it has it; undefined where there is no map. Throws MmdbError for what is no value. */
  read(offset: number, wanted: Wanted): Record<string, unknown> | undefined {
    const value = this.#decode(this.#start + offset, wanted);
    return typeof value === "object" ? (value as Record<string, unknown>) : undefined;
  }

  #decode(at: number, wanted: Wanted | null): unknown {
    let from = this.#head(this.#target(at));
    if (this.#type === LIST) {
      if (this.#size === 0) return undefined;
      from = this.#head(this.#target(from));
    }
    if (wanted === null) return this.#scalar(from);
    return this.#type === MAP ? this.#map(from, this.#size, wanted) : undefined;
  }

  #map(from: number, size: number, wanted: Wanted): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    let at = from;
    for (let entry = 0; entry < size; entry++) {
      const item = this.#wantedAt(at, wanted);
      at = this.#skip(at);
      if (item !== undefined) found[item.key] = this.#decode(at, item.below);
      at = this.#skip(at);
    }
    return found;
  }

  /** Compared as bytes: most keys are not wanted. */
  #wantedAt(at: number, wanted: Wanted): Wanted[number] | undefined {
    const from = this.#head(this.#target(at));
    for (const item of wanted) {
      if (item.bytes.length === this.#size && this.#isAt(from, item.bytes)) return item;
    }
    return undefined;
  }

  #isAt(from: number, bytes: Uint8Array): boolean {
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== this.#bytes[from + i]) return false;
    return true;
  }

  #scalar(at: number): unknown {
    const size = this.#size;
    if (this.#type === BOOLEAN) return size === 1;
    if (at + size > this.#bytes.length) throw damaged();
    switch (this.#type) {
      case TEXT:
        return this.#text.decode(this.#bytes.subarray(at, at + size));
      case DOUBLE:
        return size === 8 ? this.#view.getFloat64(at) : undefined;
      case FLOAT:
        return size === 4 ? this.#view.getFloat32(at) : undefined;
      case UINT16:
      case UINT32:
        return this.#unsigned(at, size);
      case INT32:
        return this.#unsigned(at, size) | 0;
      default:
        return undefined;
    }
  }

  /** Where the value's own bytes begin. */
  #head(at: number): number {
    const control = this.#byte(at);
    let from = at + 1;
    this.#type = control >> 5;
    this.#size = control & 31;
    if (this.#type === POINTER) return from;
    if (this.#type === EXTENDED) this.#type = this.#byte(from++) + EXTENDED_FROM;
    const more = this.#size - 28;
    if (more <= 0) return from;
    this.#size = (SIZE_BASES[more - 1] as number) + this.#unsigned(from, more);
    from += more;
    return from;
  }

  /** Where the value is that is written, or pointed to, there. */
  #target(at: number): number {
    const control = this.#byte(at);
    if (control >> 5 !== POINTER) return at;
    const size = (control >> 3) & 3;
    const high = size === 3 ? 0 : (control & 7) * 256 ** (size + 1);
    return this.#start + (POINTER_BASES[size] as number) + high + this.#unsigned(at + 1, size + 1);
  }

  /** Where the next value begins. */
  #skip(at: number): number {
    let next = at;
    for (let left = 1; left > 0; left--) {
      next = this.#head(next);
      if (this.#type === MAP) left += 2 * this.#size;
      else if (this.#type === LIST) left += this.#size;
      else if (this.#type === POINTER) next += ((this.#size >> 3) & 3) + 1;
      else if (this.#type !== BOOLEAN) next += this.#size;
    }
    return next;
  }

  /** Big-endian, up to four bytes. */
  #unsigned(at: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + this.#byte(at + i);
    return value;
  }

  #byte(at: number): number {
    const byte = this.#bytes[at];
    if (byte === undefined) throw damaged();
    return byte;
  }
}

function damaged(): MmdbError {
  return new MmdbError("is damaged");
}
