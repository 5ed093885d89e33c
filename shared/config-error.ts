import { AppError } from "./errors.ts";

/** One thing wrong with a configuration: where, and what to do about it. */
export interface ConfigProblem {
  /** Such as `teams[0].destinations[1].url`; empty for the document itself. */
  path: string;
  /** One line. */
  message: string;
  /** The lines of a script around the mistake, with a mark under it. */
  frame?: string;
}

/** A configuration that is refused, with everything that is wrong with it. */
export class ConfigError extends AppError {
  readonly problems: readonly ConfigProblem[];

  /** `source`: the file that it was read from. */
  constructor(problems: readonly ConfigProblem[], options: { source?: string; cause?: unknown } = {}) {
    const [first = { path: "", message: "is not valid" }, ...others] = problems;
    const where = [options.source, first.path]
      .filter((part) => part !== undefined && part !== "")
      .map((part) => `${part}: `);
    const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
    super("config_invalid", 422, `${where.join("")}${first.message}${more}`, {
      cause: options.cause,
      field: first.path,
    });
    this.problems = problems;
  }
}

/** `["teams", 0, "id"]` as `teams[0].id`. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? String(part) : `.${String(part)}`;
  }
  return text;
}
