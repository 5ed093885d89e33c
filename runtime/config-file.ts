import { readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { items, parseConfig, scriptsIn, secretsIn } from "../shared/config.ts";
import { ConfigError, type ConfigProblem } from "../shared/config-error.ts";
import { messageOf } from "../shared/errors.ts";
import { setField } from "../shared/secret-fields.ts";
import { destinationKinds } from "../workers/deliver/destinations/registry.ts";
import { findJsonError } from "./json-error.ts";

/** The body of `PUT /api/config`: scripts inline, secrets in plain text. */
export type ConfigBody = Record<string, unknown>;

/**
 * Reads headwater.json and makes it whole: scripts from their files, secrets from the environment. Throws `ConfigError`, whose
 * message names the file, the path in it and what to do, and whose `problems` hold everything that is wrong.
 */
export function loadConfigFile(path: string, env: Readonly<Record<string, string | undefined>>): ConfigBody {
  const value = parseJson(path, readText(path));
  const problems: ConfigProblem[] = [];
  inlineScripts(value, dirname(resolve(path)), problems);
  resolveSecrets(value, env, problems);
  try {
    parseConfig(value, destinationKinds, problems);
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.problems, { source: path, cause: error }) : error;
  }
  return value as ConfigBody;
}

function readText(path: string): string {
  try {
    // Editors on Windows write a byte order mark, which is not JSON.
    return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    throw new ConfigError([{ path: "", message: `cannot be read: ${reason(error)}` }], { source: path, cause: error });
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { line, column } = findJsonError(text) ?? { line: 1, column: 1 };
    throw new ConfigError([{ path: "", message: `not JSON: ${messageOf(error).replaceAll("\n", " ")}` }], {
      source: `${path}:${line}:${column}`,
      cause: error,
    });
  }
}

/** Puts the content of each `file` beside it as `code`; `file` stays as the script's name in errors. */
function inlineScripts(value: unknown, folder: string, problems: ConfigProblem[]): void {
  for (const [t, team] of items(value, "teams")) {
    const modules = [...items(team, "modules")].map(([m, script]) => ({ script, path: `modules[${m}]` }));
    for (const { script, path: inTeam } of [...modules, ...scriptsIn(team)]) {
      const path = `teams[${t}].${inTeam}`;
      if (script.file === undefined) {
        if (script.code === undefined)
          problems.push({ path: `${path}.code`, message: "give the script as file or as code" });
        continue;
      }
      if (script.code !== undefined) {
        problems.push({ path: `${path}.code`, message: "give the script as file or as code, not as both" });
      } else if (typeof script.file === "string") {
        script.code = readScript(script.file, folder, `${path}.file`, problems);
      }
    }
  }
}

function readScript(file: string, folder: string, path: string, problems: ConfigProblem[]): string {
  const target = resolve(folder, file);
  try {
    return readFileSync(target, "utf8");
  } catch (error) {
    problems.push({ path, message: `cannot read ${target}: ${reason(error)}` });
    // Something that passes, so that nothing else is said about this script.
    return " ";
  }
}

function resolveSecrets(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  problems: ConfigProblem[],
): void {
  for (const { path, field, value: secret, holder } of secretsIn(value, destinationKinds)) {
    const name = /^env:(.*)$/s.exec(secret)?.[1];
    if (name === undefined) continue;
    const resolved = env[name];
    if (resolved === undefined || resolved === "") {
      problems.push({ path, message: `the environment variable ${name} is not set` });
    } else {
      setField(holder, field, resolved);
    }
  }
}

const REASONS: Record<string, string> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EISDIR: "it is a folder",
};

function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return REASONS[code] ?? messageOf(error);
}

const EXAMPLE = {
  teams: [
    {
      id: "acme",
      name: "Acme",
      tokens: ["phc_acme"],
      transformations: [
        {
          id: "hello",
          code: [
            "export function transform(event, ctx) {",
            "  event.properties.greeting = 'hello, ' + event.distinct_id;",
            "  return event;",
            "}",
          ].join("\n"),
        },
      ],
      destinations: [{ id: "print", kind: "terminal" }],
    },
  ],
};

/** Writes a first headwater.json: one team, one token, one script, and a destination that prints. Never overwrites: throws `ConfigError`. */
export function writeExampleConfig(path: string): void {
  try {
    writeFileSync(path, `${JSON.stringify(EXAMPLE, null, 2)}\n`, { flag: "wx" });
  } catch (error) {
    throw new ConfigError([{ path: "", message: `cannot be written: ${reason(error)}` }], {
      source: path,
      cause: error,
    });
  }
}
