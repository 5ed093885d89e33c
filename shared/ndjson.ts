/**
 * Newline-delimited JSON as bytes: the form in which events rest in a log and travel between stages, so that no
 * stage parses what it only moves. A line is one JSON value; lines are separated, not terminated, by "\n".
 * JSON text never holds a raw newline, so a newline byte is always a border.
 */
const NEWLINE = 0x0a;
const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const MOST_BYTES_OF_CHARACTER = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** By which the room for what is left grows where it turns out not to be ASCII. */
const GROWTH = 1.5;

/**
 * Line by line, not joined first: one character beyond Latin-1 would make two bytes of every character of the whole text, which takes
 * four times as long to encode.
 */
export function encodeLines(lines: readonly string[]): Uint8Array<ArrayBuffer> {
  if (lines.length < 2) return encoder.encode(lines[0]) as Uint8Array<ArrayBuffer>;
  // What would be left to write if all of it were ASCII.
  let left = lines.length - 1;
  for (const line of lines) left += line.length;
  let bytes = new Uint8Array(left);
  let at = 0;
  for (let i = 0; i < lines.length; i++) {
    if (i > 0) {
      bytes[at++] = NEWLINE;
      left--;
    }
    for (let line = lines[i] as string; ; ) {
      const { read, written } = encoder.encodeInto(line, bytes.subarray(at));
      at += written;
      left -= read;
      const isDone = read === line.length;
      if (!isDone || bytes.length - at < left) bytes = grown(bytes, at + Math.ceil(left * GROWTH));
      if (isDone) break;
      line = line.slice(read);
    }
  }
  return at === bytes.length ? bytes : bytes.slice(0, at);
}

function grown(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes.buffer.transfer(length + MOST_BYTES_OF_CHARACTER));
}

export function decodeLines(bytes: Uint8Array): string[] {
  return bytes.length === 0 ? [] : decoder.decode(bytes).split("\n");
}

/** The start of each line; one entry more than there are lines, so that line i is [starts[i], starts[i + 1] - 1). */
export function lineStarts(bytes: Uint8Array): number[] {
  if (bytes.length === 0) return [0];
  const starts = [0];
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) starts.push(at + 1);
  starts.push(bytes.length + 1);
  return starts;
}

/** Lines [from, to) as a view on the same memory. */
export function sliceLines(bytes: Uint8Array, starts: readonly number[], from: number, to: number): Uint8Array {
  if (from >= to) return bytes.subarray(0, 0);
  return bytes.subarray(starts[from], (starts[to] as number) - 1);
}

export function concatLines(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const filled = parts.filter((part) => part.length > 0);
  let length = Math.max(0, filled.length - 1);
  for (const part of filled) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of filled) {
    if (at > 0) all[at++] = NEWLINE;
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The lines as one JSON array, without parsing them. */
export function linesToJsonArray(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const array = new Uint8Array(bytes.length + 2);
  array[0] = OPEN;
  array.set(bytes, 1);
  for (let at = array.indexOf(NEWLINE, 1); at !== -1; at = array.indexOf(NEWLINE, at + 1)) array[at] = COMMA;
  array[array.length - 1] = CLOSE;
  return array;
}
