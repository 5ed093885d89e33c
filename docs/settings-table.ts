import { z } from "zod";

interface Node {
  type?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Node>;
  anyOf?: Node[];
  oneOf?: Node[];
  required?: string[];
}

/** A kind's settings as a markdown table, one row a setting, from the schema that checks them. */
export function settingsTable(schema: z.ZodType, secrets: readonly string[]): string {
  const rows = rowsOf(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Node, "", secrets);
  return ["| setting | default | allowed | what it does |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

function rowsOf(node: Node, prefix: string, secrets: readonly string[], optional = false): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const isRequired = node.required?.includes(name) === true && !optional;
    if (field.properties !== undefined) return rowsOf(field, `${path}.`, secrets, !isRequired);
    const secret = secrets.includes(path) && !field.description?.includes("secret") ? "; secret" : "";
    const what = (field.description ?? "") + secret;
    return [`| \`${path}\` | ${defaultOf(field, isRequired)} | ${allowed(field)} | ${what} |`];
  });
}

function defaultOf(field: Node, required: boolean): string {
  if (field.default !== undefined) return `\`${JSON.stringify(field.default)}\``;
  return required ? "required" : "none";
}

function allowed(field: Node): string {
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum !== undefined) return field.enum.map((value) => `\`${JSON.stringify(value)}\``).join(", ");
  if (field.type === "integer") return `${count(field.minimum)} to ${count(field.maximum)}`;
  if (field.type === "number") return `${count(field.minimum)} to ${count(field.maximum)}`;
  if (field.type === "array") return "list";
  if (field.anyOf !== undefined || field.oneOf !== undefined) return "object";
  return field.type === "string" ? "text" : (field.type ?? "");
}

function count(value: number | undefined): string {
  return value === undefined ? "any" : value.toLocaleString("en-US");
}
