import { items, scriptsIn, type TeamConfig } from "../../shared/config.ts";
import type { ConfigProblem } from "../../shared/config-error.ts";
import { AppError } from "../../shared/errors.ts";
import { moduleOwner, ScriptCompileError } from "../transform/script-compile-error.ts";

/** What kept a team from compiling, each with the path of what is at fault. `path`: the team's own. Throws what is a bug. */
export function compileProblems(error: unknown, team: TeamConfig, path: string): ConfigProblem[] {
  if (error instanceof ScriptCompileError)
    return [error, ...error.also].map((found) => scriptProblem(found, team, path));
  if (error instanceof AppError)
    return [{ path: `${path}.${error.field ?? ""}`.replace(/\.$/, ""), message: error.message }];
  throw error;
}

function scriptProblem(error: ScriptCompileError, team: TeamConfig, path: string): ConfigProblem {
  // The first line says it all; the lines after it are the frame.
  const [message = error.message] = error.message.split("\n", 1);
  return {
    path: `${path}.${pathOf(error.script, team)}.code`,
    message,
    ...(error.frame === "" ? {} : { frame: error.frame }),
  };
}

/** A script's id in a bundle is its owner's name; those of the chain go by their bare id. */
function pathOf(script: string, team: TeamConfig): string {
  for (const [i, module] of items(team, "modules"))
    if (script === moduleOwner(String(module.id))) return `modules[${i}]`;
  const name = script.includes(":") ? script : `transformation:${script}`;
  const { path } = [...scriptsIn(team)].find(({ owner }) => owner === name) ?? {};
  if (path === undefined) throw new Error(`team ${team.id} has no script ${script}`);
  return path;
}
