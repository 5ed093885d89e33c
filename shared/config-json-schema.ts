import { z } from "zod";
import type { DestinationKind } from "../workers/deliver/destinations/destination.ts";
import { configSchema, DestinationBaseSchema } from "./config.ts";
import { isObject } from "./secret-fields.ts";

type Json = Record<string, unknown>;

/** A secret may stand in the file as a reference to an environment variable. */
const ENV_REFERENCE = {
  type: "string",
  pattern: "^env:[A-Za-z_][A-Za-z0-9_]*$",
  description: "Read from this environment variable by the command line.",
};

/** The JSON Schema of headwater.json, for editors: what `loadConfigFile` accepts, as far as JSON Schema can say it. */
export function configJsonSchema(kinds: readonly DestinationKind[]): Json {
  const definitions: Json = {};
  const root = input(configSchema(kinds), "config", definitions);
  const team = at(root, "properties", "teams", "items", "properties");
  const source = at(team, "sources", "items");
  allowReference(source, ["verify", "secret"]);
  allowReference(at(team, "notifications"), ["signing_secret"]);
  const base = input(DestinationBaseSchema, "destination", definitions);
  const scripts = [
    at(team, "transformations", "items"),
    at(source, "properties", "transformation"),
    at(base, "properties", "transformation"),
  ];
  for (const script of scripts) {
    allowFile(script);
    const credentials = at(script, "properties", "credentials");
    credentials.additionalProperties = { anyOf: [ENV_REFERENCE, credentials.additionalProperties] };
  }
  allowFile(at(team, "modules", "items"));
  at(team, "destinations").items = {
    type: "object",
    required: ["id", "kind"],
    properties: { kind: { enum: kinds.map((kind) => kind.kind) } },
    // Not oneOf: an editor that knows the kind by its const reports that kind's problems instead of every kind's.
    allOf: kinds.map((kind) => ({
      if: { properties: { kind: { const: kind.kind } }, required: ["kind"] },
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own keyword, in an object that nobody awaits
      then: { $ref: `#/$defs/${kind.kind}` },
    })),
  };
  for (const kind of kinds) definitions[kind.kind] = kindSchema(kind, base, definitions);
  return {
    ...root,
    title: "Headwater configuration",
    $defs: Object.fromEntries(Object.entries(definitions).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** A script's text may stand in a file of its own. */
function allowFile(script: Json): void {
  const required = (script.required as string[]).filter((field) => field !== "code");
  if (required.length > 0) script.required = required;
  else delete script.required;
  script.oneOf = [{ required: ["file"] }, { required: ["code"] }];
}

function kindSchema(kind: DestinationKind, base: Json, definitions: Json): Json {
  const schema = input(kind.settings, kind.kind, definitions);
  for (const shape of shapesOf(schema)) {
    for (const secret of kind.secrets) allowReference(shape, secret.split("."));
    shape.properties = { ...(base.properties as Json), kind: { const: kind.kind }, ...(shape.properties as Json) };
    shape.required = ["id", "kind", ...((shape.required as string[] | undefined) ?? [])];
  }
  return schema;
}

/** The object schemas that a kind's settings may take. */
function shapesOf(schema: Json): Json[] {
  if (isObject(schema.properties)) return [schema];
  return ["anyOf", "oneOf", "allOf"].flatMap((key) =>
    Array.isArray(schema[key]) ? (schema[key] as Json[]).flatMap(shapesOf) : [],
  );
}

function allowReference(schema: Json, [key, ...rest]: string[]): void {
  for (const shape of shapesOf(schema)) {
    const properties = shape.properties as Json;
    const field = properties[key as string];
    if (!isObject(field)) continue;
    if (rest[0] === "*") field.items = { anyOf: [ENV_REFERENCE, field.items] };
    else if (rest.length > 0) allowReference(field, rest);
    else properties[key as string] = { anyOf: [ENV_REFERENCE, field] };
  }
}

/** The schema of what may be written, with its own definitions moved to `definitions` under names that cannot clash. */
function input(schema: z.ZodType, name: string, definitions: Json): Json {
  const text = JSON.stringify(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));
  const { $defs = {}, ...json } = JSON.parse(text.replaceAll('"#/$defs/', `"#/$defs/${name}-`)) as Json;
  for (const [key, definition] of Object.entries($defs as Json)) definitions[`${name}-${key}`] = definition;
  if (name !== "config") delete json.$schema;
  return json;
}

function at(schema: Json, ...path: string[]): Json {
  let value: unknown = schema;
  for (const key of path) value = (value as Json)[key];
  if (!isObject(value)) throw new Error(`the configuration's schema has no ${path.join(".")}`);
  return value;
}
