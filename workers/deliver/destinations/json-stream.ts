/** Cuts JSON objects that stand one behind the other, with or without space between, out of a text that comes in pieces. */
export class JsonStream {
  #rest = "";
  #at = 0;
  #depth = 0;
  #inText = false;
  #escaped = false;

  /** The objects that end in this piece, parsed, one by one. Throws where one is no JSON. */
  *push(piece: string): Generator<unknown, void> {
    this.#rest += piece;
    let from = 0;
    for (; this.#at < this.#rest.length; this.#at++) {
      if (!this.#ends(this.#rest.charCodeAt(this.#at))) continue;
      yield JSON.parse(this.#rest.slice(from, this.#at + 1));
      from = this.#at + 1;
    }
    this.#rest = this.#rest.slice(from);
    this.#at -= from;
  }

  /** Whether an object ends with this unit. */
  #ends(unit: number): boolean {
    if (this.#inText) {
      if (this.#escaped) this.#escaped = false;
      else if (unit === BACKSLASH) this.#escaped = true;
      else if (unit === QUOTE) this.#inText = false;
      return false;
    }
    if (unit === QUOTE) this.#inText = true;
    else if (unit === OPEN) this.#depth++;
    else if (unit === CLOSE) return --this.#depth === 0;
    return false;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
