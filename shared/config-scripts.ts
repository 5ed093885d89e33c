import { z } from "zod";

/** A team's compiled snapshot has to fit one D1 row and one KV value next to everything else. */
const CODE_MAX_CHARACTERS = 262_144;
const CREDENTIAL_MAX_CHARACTERS = 8_192;

/** Where a script's text comes from. */
const codeFields = {
  file: z
    .string()
    .min(1)
    .optional()
    .describe("Path of the script, relative to this file. TypeScript or JavaScript. Either file or code."),
  code: z
    .string("give the script as `code`; a `file` is read by the command line, next to the configuration file")
    .min(1)
    .max(CODE_MAX_CHARACTERS)
    .describe("The script itself, instead of a file."),
};

const scriptFields = {
  ...codeFields,
  inputs: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("Settings that the script reads as ctx.inputs. Any JSON; not for secrets."),
  credentials: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, "must be a name: letters, digits and _"),
      z.string().min(1).max(CREDENTIAL_MAX_CHARACTERS),
    )
    .default({})
    .describe("Secrets that this script alone reads as ctx.credentials; stored encrypted and never shown."),
};

/** What becomes of an event that a script of the chain throws on. */
const ON_ERROR = z.enum(["pass", "drop", "quarantine"]).default("pass");

export function transformationSchema(id: z.ZodString) {
  return z.strictObject({
    id: id.describe("Names the script in errors, logs and metrics; unique in the team."),
    ...scriptFields,
    on_error: ON_ERROR.describe(
      "What becomes of an event that the script throws on. pass: it goes on unchanged, marked. drop: it ends, counted as dropped. quarantine: it is kept, and replayed after a fix.",
    ),
  });
}

/** A source's own script: runs on that source's events only, before the team's chain. */
export const SourceScriptSchema = z.strictObject({
  ...scriptFields,
  on_error: ON_ERROR.describe("As for a transformation."),
});

/** A destination's own script: runs after the chain, on what the destination's filter lets through. */
export const DestinationScriptSchema = z.strictObject({
  ...scriptFields,
  on_error: z
    .enum(["dead_letter", "pass", "drop"])
    .default("dead_letter")
    .describe(
      "What becomes of an event that the script throws on, at this destination. dead_letter: kept, and run again when it is replayed. pass: sent as it stands. drop: not sent, counted as dropped.",
    ),
});

export function moduleSchema(id: z.ZodString) {
  return z.strictObject({
    id: id.describe('Scripts import it by this name: import { f } from "name".'),
    ...codeFields,
  });
}

export type TransformationConfig = z.infer<ReturnType<typeof transformationSchema>>;
export type DestinationScriptConfig = z.infer<typeof DestinationScriptSchema>;
export type ModuleConfig = z.infer<ReturnType<typeof moduleSchema>>;
