import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { LIBRARIES } from "./library-names.ts";

const root = join(import.meta.dirname, "..", "..");
const published = join(root, "types", "headwater.d.ts");

mkdirSync(join(root, ".cache"), { recursive: true });
const folder = mkdtempSync(join(root, ".cache", "types-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the compiler says about these files, compiled beside the published types; empty where all is well. */
function complaints(files: Record<string, string>, config: object): string {
  const project = mkdtempSync(join(folder, "project-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(project, name), text);
  const include = [published, join(project, "*.ts")];
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ ...config, include, exclude: [] }));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, "--noEmit", "-p", project], { encoding: "utf8" });
  return stdout + stderr;
}

/** As docs/scripts.md tells authors to write it. */
const [, documented = ""] =
  /```jsonc?\n(\{\s*"compilerOptions"[\s\S]*?)```/.exec(readFileSync(join(root, "docs", "scripts.md"), "utf8")) ?? [];
const { compilerOptions } = JSON.parse(documented) as { compilerOptions: object };

const blocksOf = (page: string) =>
  [...readFileSync(join(root, "docs", page), "utf8").matchAll(/^ *```ts\n([\s\S]*?)^ *```$/gm)].map(
    ([, code]) => code!,
  );

function scripts(): Record<string, string> {
  const found: Record<string, string> = {};
  const templates = join(root, "templates", "transformations");
  for (const name of readdirSync(templates)) {
    found[`template-${name}.ts`] = readFileSync(join(templates, name, "script.ts"), "utf8");
  }
  for (const [i, code] of blocksOf("scripts.md").entries()) found[`docs-${i}.ts`] = code;
  return found;
}

const SAMPLES = {
  "typed.ts": `import type { Context, Event, Shape, Transform, TransformBatch } from "headwater";
import { sha256 } from "headwater:hash";
interface Inputs { fields: string[] }
export const transform: Transform<Inputs> = (event, ctx) => {
  for (const field of ctx.inputs.fields) delete event.properties[field];
  event.properties.id = sha256(event.distinct_id, "base64url");
  ctx.log(ctx.team, ctx.geo?.country, ctx.credentials.key ?? "none");
  return event.properties.copies === 2 ? [event, { ...event, event: "copy" }, null] : event;
};
export const transformBatch: TransformBatch = (events) => events.map((event) => (event.ip === null ? null : event));
export const shape: Shape = (event) => ({ url: "https://example.com", headers: { a: "b" }, body: { name: event.event } });
export function named(event: Event, ctx: Context) { return ctx.inputs.x === 1 ? event : undefined; }
`,
};

describe("types/headwater.d.ts", () => {
  it("lets templates, the documentation's scripts and typical ones compile", () => {
    const all = { ...scripts(), ...SAMPLES };
    expect(Object.keys(all).length).toBeGreaterThan(10);
    expect(complaints(all, { compilerOptions })).toBe("");
  }, 60_000);

  it.each([
    ["a misspelt field", "export const f = (event: Event) => event.distinctId;", "distinctId"],
    [
      "writing to the inputs",
      "export const f = (_: Event, ctx: Context<{ a: number }>) => { ctx.inputs.a = 1; };",
      "read-only",
    ],
    ["a credential that may be missing", "export const f = (ctx: Context): string => ctx.credentials.a;", "undefined"],
    ["a promise", "export const f: Transform = async (event: Event) => event;", "Promise"],
  ])(
    "reports %s",
    (_, code, complaint) => {
      const file = `import type { Context, Event, Transform } from "headwater";\n${code}\nexport type Used = [Context, Event, Transform];\n`;
      expect(complaints({ "wrong.ts": file }, { compilerOptions })).toContain(complaint);
    },
    60_000,
  );

  it("declares every library as it is", () => {
    const lines = Object.keys(LIBRARIES).flatMap((name, i) => [
      `type Declared${i} = typeof import("${name}");`,
      `type Real${i} = typeof import("${join(root, "workers", "transform", "modules", `${name.replace("headwater:", "")}.ts`)}");`,
      `export const there${i} = (real: Real${i}): Declared${i} => real;`,
      `export const back${i} = (declared: Declared${i}): Real${i} => declared;`,
    ]);
    const config = { extends: join(root, "tsconfig.json"), compilerOptions: { exactOptionalPropertyTypes: false } };
    const types = join(root, "workers", "transform", "modules", "parts", "ua-parser-js.d.ts");
    const file = `/// <reference path="${types}" />\n${lines.join("\n")}\n`;
    expect(complaints({ "same.ts": file }, config)).toBe("");
  }, 60_000);

  it("declares no library that there is not", () => {
    const declared = [...readFileSync(published, "utf8").matchAll(/^declare module "(headwater:[^"]+)"/gm)];
    expect(declared.map(([, name]) => name).sort()).toEqual(Object.keys(LIBRARIES));
  });
});
