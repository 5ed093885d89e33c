/** `headwater:bot`: whether a user agent is a crawler's, a monitor's or a program's. */
import { isbot, list } from "isbot";
import { clippedAgent } from "./parts/user-agent-text.ts";

let patterns: RegExp[] | null = null;

/** False for what is no text, or an empty one. */
export function isBot(userAgent: unknown): boolean {
  const text = clippedAgent(userAgent);
  return text !== null && isbot(text);
}

/** The part of the user agent that gives the bot away, such as `Googlebot`; null for people. */
export function botName(userAgent: unknown): string | null {
  const text = clippedAgent(userAgent);
  if (text === null || !isbot(text)) return null;
  patterns ??= list.map((pattern) => new RegExp(pattern, "i"));
  for (const pattern of patterns) {
    const [found] = pattern.exec(text) ?? [];
    if (found !== undefined) return found;
  }
  return null;
}
