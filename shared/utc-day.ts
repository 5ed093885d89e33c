const DAY_MS = 24 * 60 * 60 * 1000;

/** Number of the UTC day since 1970: what counts by the day begins anew at each. */
export function utcDay(nowMs: number): number {
  return Math.floor(nowMs / DAY_MS);
}
