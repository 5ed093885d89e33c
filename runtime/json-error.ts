/** Where a JSON text stops being JSON; 1-based. Node's own message has no position for some mistakes. */
export interface JsonPosition {
  line: number;
  column: number;
}

/** A string without raw control characters. */
const STRING = String.raw`"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"`;
const KEY = new RegExp(STRING, "y");
const TOKEN = new RegExp(String.raw`${STRING}|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null`, "y");
const SPACE = /[ \t\r\n]*/y;

/** Null where the text is JSON. */
export function findJsonError(text: string): JsonPosition | null {
  const scanner = new Scanner(text);
  if (scanner.value() && scanner.end()) return null;
  const before = text.slice(0, scanner.at).split("\n");
  return { line: before.length, column: (before.at(-1) as string).length + 1 };
}

/** Each method takes what it can and tells whether it was all there; `at` stays where the first mistake is. */
class Scanner {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.#match(SPACE);
  }

  value(): boolean {
    if (this.#take("{")) return this.#list("}", () => this.#match(KEY) && this.#take(":") && this.value());
    if (this.#take("[")) return this.#list("]", () => this.value());
    return this.#match(TOKEN);
  }

  end(): boolean {
    return this.at === this.#text.length;
  }

  #list(close: string, item: () => boolean): boolean {
    if (this.#take(close)) return true;
    do if (!item()) return false;
    while (this.#take(","));
    return this.#take(close);
  }

  #take(character: string): boolean {
    if (this.#text[this.at] !== character) return false;
    this.at++;
    this.#match(SPACE);
    return true;
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text);
    if (found === null) return false;
    this.at = pattern.lastIndex;
    if (pattern !== SPACE) this.#match(SPACE);
    return true;
  }
}
