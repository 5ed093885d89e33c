const MESSAGE_MAX_CHARS = 300;
/** What an author reads before looking into the script; recursion would fill more with one line. */
const FRAMES_COUNT = 8;
const LINE = /^:(\d+)/;
/** `at scale (file:///script-0.js:3:14)`, `at script-0.js:3:14`. */
const FRAME = /^\s*at (?:(.+) \()?(?:.*\/)?([^/():]+):(\d+):\d+\)?$/;
/** Modules of the team, as the compiler names them. */
const TEAM_MODULE = /^lib-(.+)\.js$/;

/** Whose lines are the author's. */
export interface Authored {
  /** The script's id, which its author knows. */
  id: string;
  /** The module that the author wrote. */
  module: string;
}

/**
 * What a script threw, with the line of the script where known. The thrown value is the script's own and may fight back
 * (getters, proxies): call it while the script's fuel still counts.
 */
export function describeError(error: unknown, { module }: Authored, redact: (text: string) => string): string {
  try {
    if (!(error instanceof Error))
      return clip(redact(`threw ${typeof error === "string" ? `"${error}"` : `a ${typeof error}`}`));
    const line = lineOf(error, module);
    return clip(redact(`${error.name}: ${error.message}`)) + (line === null ? "" : ` (line ${line})`);
  } catch {
    return "threw a value that cannot be read";
  }
}

/** The innermost line of `module` in the stack. */
export function lineOf(error: Error, module: string): number | null {
  const { stack } = error;
  if (typeof stack !== "string") return null;
  const at = stack.indexOf(`${module}:`);
  const match = at === -1 ? null : LINE.exec(stack.slice(at + module.length));
  return match === null ? null : Number(match[1]);
}

/**
 * The stack in the author's lines, innermost first: `scale (scrub:3)`, a line outside of functions `scrub:3`, a module of the
 * team by its id. Without columns: fuel has moved them. The same caution as for `describeError`.
 */
export function stackOf(error: unknown, { id, module }: Authored, redact: (text: string) => string): string[] {
  try {
    const stack = error instanceof Error ? error.stack : undefined;
    if (typeof stack !== "string") return [];
    const frames: string[] = [];
    for (const text of stack.split("\n")) {
      const [, name, file = "", line] = FRAME.exec(text) ?? [];
      const place = file === module ? id : TEAM_MODULE.exec(file)?.[1];
      if (place === undefined) continue;
      frames.push(name === undefined ? `${place}:${line}` : `${clip(redact(name))} (${place}:${line})`);
      if (frames.length === FRAMES_COUNT) break;
    }
    return frames;
  } catch {
    return [];
  }
}

function clip(text: string): string {
  return text.length > MESSAGE_MAX_CHARS ? `${text.slice(0, MESSAGE_MAX_CHARS)}…` : text;
}
