const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{` differ from `]` and `}` as a pair, and within the pair by this bit only. */
const BRACE_BIT = 0x20;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** True where the JSON text holds more `[` and `{` than `count`, those inside strings included. */
export function opensMoreThan(text: string, count: number): boolean {
  if (text.length <= count) return false;
  let seen = 0;
  for (const opener of ["{", "["]) {
    for (let at = text.indexOf(opener); at !== -1; at = text.indexOf(opener, at + 1)) if (++seen > count) return true;
  }
  return false;
}

/**
 * True where arrays and objects of the JSON text lie within each other more than `levels` deep. Counting the openers first spares
 * nearly every text the walk, which costs a third of parsing it.
 */
export function nestsDeeperThan(text: string, levels: number): boolean {
  if (!opensMoreThan(text, levels)) return false;
  let level = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === BACKSLASH) at++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if ((code | BRACE_BIT) === OPEN_BRACE) {
      if (++level > levels) return true;
    } else if ((code | BRACE_BIT) === CLOSE_BRACE) level--;
  }
  return false;
}
