const MESSAGE_MAX_CHARS = 300;
const LINE = /^:(\d+)/;

/**
 * What a script threw, with the line of the script where known. The thrown value is the script's own and may fight back
 * (getters, proxies): call it while the script's fuel still counts.
 */
export function describeError(error: unknown, module: string): string {
  try {
    if (!(error instanceof Error))
      return clip(`threw ${typeof error === "string" ? `"${error}"` : `a ${typeof error}`}`);
    const line = lineOf(error, module);
    return clip(`${error.name}: ${error.message}`) + (line === null ? "" : ` (line ${line})`);
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

function clip(text: string): string {
  return text.length > MESSAGE_MAX_CHARS ? `${text.slice(0, MESSAGE_MAX_CHARS)}…` : text;
}
