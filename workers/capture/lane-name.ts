/** Which lane takes an event: by team, by the region where the request arrived, and by user, so that a user's events stay in order. */
export function laneName(team: string, region: string, lanes: number, distinctId: string): string {
  return `${team}:${region}:${lanes === 1 ? 0 : hash(distinctId) % lanes}`;
}

/**
 * The lane of a token whose team could not be read (the edge fails open). Its pump finds the team later.
 * Team ids hold no "?", so the name cannot be another lane's.
 */
export function unresolvedLaneName(token: string, region: string): string {
  return `?${token}:${region}:0`;
}

/** The token of an unresolved lane's name; null for a team's lane. */
export function unresolvedToken(lane: string): string | null {
  // From the end: a token may hold colons, as Jitsu's do.
  return /^\?(.*):[^:]*:\d+$/s.exec(lane)?.[1] ?? null;
}

/** FNV-1a, 32 bits: even enough for a choice among at most 64 lanes, and cheap. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
