import { decodeLines } from "../../../shared/ndjson.ts";
import type { Span } from "./s3-key.ts";

const encoder = new TextEncoder();
const TOKEN = /^\{"token":"((?:[^"\\]|\\.)*)",?/;

/** One line an event, its token in front of its own fields, so that a replay knows it; without parsing any. */
export function archiveLines(events: Uint8Array, tokens: readonly string[]): { text: string; span: Span | null } {
  const lines = decodeLines(events);
  const text = lines.map((line, i) => `${withToken(line, tokens[i] ?? "")}\n`).join("");
  return { text, span: spanOfEvents(text) };
}

function withToken(line: string, token: string): string {
  if (!line.startsWith("{")) return line;
  const rest = line.slice(1);
  return `{"token":${JSON.stringify(token)}${rest === "}" ? "" : ","}${rest}`;
}

/** The line as it was, and its token; none where it was written without. */
export function withoutToken(line: string): { line: string; token: string } {
  const match = TOKEN.exec(line);
  if (match === null) return { line, token: "" };
  return { line: `{${line.slice(match[0].length)}`, token: JSON.parse(`"${match[1]}"`) as string };
}

const RECEIVED_AT = /"received_at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z)"/g;

/** Of everything that looks like one: a property of that name makes the span wider, never narrower. Null without any. */
function spanOfEvents(text: string): Span | null {
  let [first, last] = ["", ""];
  for (const [, at] of text.matchAll(RECEIVED_AT)) {
    if (first === "" || (at as string) < first) first = at as string;
    if ((at as string) > last) last = at as string;
  }
  const [from, to] = [Date.parse(first), Date.parse(last)];
  return Number.isNaN(from) || Number.isNaN(to) ? null : { from, to };
}

export function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return through(new Blob([encoder.encode(text)]).stream(), new CompressionStream("gzip"));
}

/** Throws where it is not gzip, or larger than `maxBytes`. */
export function gunzip(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  return through(stream, new DecompressionStream("gzip"), maxBytes);
}

/** Throws where it is larger than `maxBytes`. */
export async function readAll(
  stream: ReadableStream<Uint8Array>,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > maxBytes) throw new Error(`it holds more than ${maxBytes} bytes`);
    parts.push(part);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function through(
  stream: ReadableStream,
  transform: CompressionStream | DecompressionStream,
  maxBytes?: number,
): Promise<Uint8Array<ArrayBuffer>> {
  return readAll(stream.pipeThrough(transform as unknown as ReadableWritablePair<Uint8Array, Uint8Array>), maxBytes);
}
