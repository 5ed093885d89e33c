import { linesToJsonArray } from "../../../shared/ndjson.ts";

/** How events stand in a request's body. */
export type BodyFormat = "array" | "event" | "ndjson" | "form";

export const CONTENT_TYPES: Record<BodyFormat, string> = {
  array: "application/json",
  event: "application/json",
  ndjson: "application/x-ndjson",
  form: "application/x-www-form-urlencoded",
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NEWLINE = 0x0a;

/** The body of a request of these events (NDJSON); `event` and `form` take one. */
export function bodyOf(format: BodyFormat, events: Uint8Array): Uint8Array {
  if (format === "array") return linesToJsonArray(events);
  if (format === "event") return events;
  if (format === "form") return encoder.encode(formOf(JSON.parse(decoder.decode(events))));
  // Every line ends with a newline, the last one too: readers that wait for it would miss that event.
  const lines = new Uint8Array(events.length + 1);
  lines.set(events);
  lines[events.length] = NEWLINE;
  return lines;
}

/** `a=1&b[c]=x&b[d][0]=y`; null is empty, and what is empty itself is left out. */
function formOf(value: unknown): string {
  const form = new URLSearchParams();
  for (const [name, text] of fieldsOf(value, "")) form.append(name, text);
  return form.toString();
}

function* fieldsOf(value: unknown, name: string): Generator<[string, string]> {
  if (typeof value !== "object" || value === null) {
    yield [name, value === null ? "" : String(value)];
    return;
  }
  for (const [key, inner] of Object.entries(value)) yield* fieldsOf(inner, name === "" ? key : `${name}[${key}]`);
}

/** The bytes as gzip. */
export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
