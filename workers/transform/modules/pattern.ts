/** `headwater:pattern`: names with `*`, as filters and sources have them. */
import { compilePattern } from "../../../shared/filter.ts";

/** Whether it is a text that the pattern matches as a whole; `*` stands for any run of characters. */
export function matchesPattern(text: unknown, pattern: string): boolean {
  return compilePattern(pattern)(text);
}
