/**
 * How a hostile script ends.
 * - `publish`: it is refused, before it runs.
 * - `fuel`: it is stopped inside its own call.
 * - `error`: what it does throws, or what it returns is refused.
 * - `nothing`: it runs, and what it was after is not there.
 * - `kill`: the sandbox process has to be killed.
 */
export type End = "publish" | "fuel" | "error" | "nothing" | "kill";

export interface HostileScript {
  /** What it does; unique among all. */
  what: string;
  ends: End;
  /** The body of a `transform(event, ctx)`, or a whole module. */
  code: string;
  /** In what its team is told of it; of one that is stopped by fuel that says enough. */
  says?: string;
  /** What it leaves in `properties.got`; of one that comes to nothing. */
  got?: unknown;
  /** A module of the team that it imports as "shared". */
  shared?: string;
  /** It is a destination's own script. */
  isDestination?: true;
  /** Events that are sent together, where one is not enough. */
  events?: number;
}

export interface HostileGroup {
  title: string;
  scripts: readonly HostileScript[];
}

/** The whole module. */
export function moduleOf(code: string): string {
  return /^\s*export |\nexport |^exports\./.test(code) || code.includes("module.exports")
    ? code
    : `export function transform(event, ctx) { ${code} }`;
}
