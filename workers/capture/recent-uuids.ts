/**
 * The dedupe window: the newest `capacity` uuids of a lane. Memory is fixed (about 26 bytes a uuid) and nothing is allocated per
 * event: 16 raw bytes each in a ring, found through an open-addressing table of ring positions.
 *
 * Clients choose uuids, so the hash is seeded: nobody outside can aim at one slot.
 */
const WORDS = 4;
const EMPTY = 0;

export class RecentUuids {
  readonly #ring: Uint32Array;
  /** Ring position + 1, or EMPTY. Twice as many slots as uuids, a power of two. */
  readonly #slots: Uint32Array;
  readonly #mask: number;
  readonly #capacity: number;
  readonly #seed: number;
  #next = 0;
  #size = 0;

  /** @param seed any 32-bit number that clients do not know */
  constructor(capacity: number, seed: number) {
    this.#capacity = capacity;
    this.#ring = new Uint32Array(capacity * WORDS);
    const slots = 2 ** Math.ceil(Math.log2(capacity * 2));
    this.#slots = new Uint32Array(slots);
    this.#mask = slots - 1;
    this.#seed = seed | 0;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds the uuid (16 bytes at `offset`) and forgets the oldest if full. False: it was there already. */
  add(bytes: Uint8Array, offset: number): boolean {
    const ring = this.#ring;
    const slots = this.#slots;
    const a = word(bytes, offset);
    const b = word(bytes, offset + 4);
    const c = word(bytes, offset + 8);
    const d = word(bytes, offset + 12);
    let slot = this.#hash(a, b, c, d);
    for (let at = slots[slot] as number; at !== EMPTY; at = slots[slot] as number) {
      const i = (at - 1) * WORDS;
      if (ring[i] === a && ring[i + 1] === b && ring[i + 2] === c && ring[i + 3] === d) return false;
      slot = (slot + 1) & this.#mask;
    }
    if (this.#size === this.#capacity) {
      this.#remove(this.#next);
      // The removal may have moved the free slot found above.
      slot = this.#hash(a, b, c, d);
      while (slots[slot] !== EMPTY) slot = (slot + 1) & this.#mask;
    } else this.#size++;
    const i = this.#next * WORDS;
    ring[i] = a;
    ring[i + 1] = b;
    ring[i + 2] = c;
    ring[i + 3] = d;
    slots[slot] = ++this.#next;
    if (this.#next === this.#capacity) this.#next = 0;
    return true;
  }

  /** Forgets the newest `count` uuids: those of an append that was not stored. */
  removeNewest(count: number): void {
    count = Math.min(count, this.#size);
    for (let i = 0; i < count; i++) {
      this.#next = (this.#next + this.#capacity - 1) % this.#capacity;
      this.#remove(this.#next);
      this.#size--;
    }
  }

  #hashAt(position: number): number {
    const i = position * WORDS;
    const ring = this.#ring;
    return this.#hash(ring[i] as number, ring[i + 1] as number, ring[i + 2] as number, ring[i + 3] as number);
  }

  #hash(a: number, b: number, c: number, d: number): number {
    let h = this.#seed ^ a;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) ^ b;
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) ^ c;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) ^ d;
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) & this.#mask;
  }

  /** Linear probing without tombstones: later entries of the run move up into the hole. */
  #remove(position: number): void {
    let hole = this.#hashAt(position);
    while (this.#slots[hole] !== position + 1) hole = (hole + 1) & this.#mask;
    let probe = hole;
    for (;;) {
      probe = (probe + 1) & this.#mask;
      const at = this.#slots[probe] as number;
      if (at === EMPTY) break;
      const home = this.#hashAt(at - 1);
      if (((probe - home) & this.#mask) >= ((probe - hole) & this.#mask)) {
        this.#slots[hole] = at;
        hole = probe;
      }
    }
    this.#slots[hole] = EMPTY;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}
