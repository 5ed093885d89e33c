/** Real ones are shorter; the regular expressions that read them take no longer than this lets them. */
const AGENT_MAX_CHARS = 500;

/** Null for what is no text, or an empty one. */
export function clippedAgent(userAgent: unknown): string | null {
  return typeof userAgent === "string" && userAgent !== "" ? userAgent.slice(0, AGENT_MAX_CHARS) : null;
}
