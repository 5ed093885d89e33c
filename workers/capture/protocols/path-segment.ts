import { ParseError } from "../errors.ts";

/** A part of the path, which the router leaves as it was written. Throws ParseError. */
export function pathSegment(segment: string | undefined): string {
  try {
    return decodeURIComponent(segment ?? "");
  } catch (error) {
    throw new ParseError(`the path is no valid UTF-8 (${String(error)})`);
  }
}
