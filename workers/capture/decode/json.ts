import { messageOf } from "../../../shared/errors.ts";
import { NestingError, ParseError } from "../errors.ts";
import type { DecodeLimits } from "./limits.ts";
import { nestsDeeperThan, opensMoreThan } from "./nesting.ts";

/** The parser keeps a record for each open array or object; up to this many its memory is no matter, so the walk is not worth it. */
const HARMLESS_OPENERS = 100_000;

/**
 * The text as JSON. Escapes that name half of a surrogate pair come out as U+FFFD. `__proto__` stays an ordinary key. Depth is
 * refused here only where parsing itself would be costly; encodeEvents holds every event to the limit.
 */
export function parseJson(text: string, limits: DecodeLimits): unknown {
  if (opensMoreThan(text, HARMLESS_OPENERS) && nestsDeeperThan(text, limits.nestingLevels)) {
    throw new NestingError(limits.nestingLevels);
  }
  try {
    return JSON.parse(repairSurrogates(text)) as unknown;
  } catch (error) {
    throw new ParseError(messageOf(error));
  }
}

/** A pair of surrogates, half of one, or any other escape; taken in order, so that `\\ud800` is an escaped backslash and text. */
const ESCAPE = /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|[\s\S])/g;

function repairSurrogates(text: string): string {
  if (!text.includes("\\ud") && !text.includes("\\uD")) return text;
  return text.replace(ESCAPE, (found, half: string | undefined) => (half === undefined ? found : "\\ufffd"));
}
