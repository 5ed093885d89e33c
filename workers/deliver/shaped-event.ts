import type { ShapedEvent } from "../../shared/sandbox-api.ts";

/**
 * Lines that a destination's script shaped into requests (sandbox-api.ts `ShapedEvent`). Only outboxes that were told that their
 * lines come from such a script look for them: elsewhere the same field is the event's own affair.
 */
const MARK = new TextEncoder().encode('$request"');
const DOLLAR = MARK[0] as number;

const decoder = new TextDecoder();

/** Whether the line [from, to) is a shaped event. Lines without the field's name are not parsed. */
export function isShapedLine(bytes: Uint8Array, from: number, to: number): boolean {
  return mentionsRequest(bytes, from, to) && shapedEvent(decoder.decode(bytes.subarray(from, to))) !== null;
}

/** The line as a shaped event; null where it is none. Fields of the event itself may stand beside those that are declared. */
export function shapedEvent(line: string): (ShapedEvent & Record<string, unknown>) | null {
  if (!line.includes('$request"')) return null;
  const value = JSON.parse(line) as { $request?: unknown } | null;
  const request = typeof value === "object" ? value?.$request : undefined;
  return typeof request === "object" && request !== null && !Array.isArray(request) ? (value as never) : null;
}

/** The event that it was made from, as far as the line has it. */
export function withoutRequest(shaped: ShapedEvent): Record<string, unknown> {
  const { $request: _, ...event } = shaped;
  return event;
}

/** Its own body as text; undefined where the script gave none. */
export function bodyText({ $request }: ShapedEvent): string | undefined {
  const { body } = $request;
  return body === undefined || typeof body === "string" ? body : JSON.stringify(body);
}

function mentionsRequest(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = bytes.indexOf(DOLLAR, from); at !== -1 && at + MARK.length <= to; at = bytes.indexOf(DOLLAR, at + 1)) {
    let i = 1;
    while (i < MARK.length && bytes[at + i] === MARK[i]) i++;
    if (i === MARK.length) return true;
  }
  return false;
}
