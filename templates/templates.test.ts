import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildWorkers } from "../runtime/build.ts";
import { projectRoot } from "../runtime/project.ts";
import { type Sandbox, startSandbox } from "../runtime/sandbox-process.ts";
import { TEMPLATES } from "../workers/console/generated/templates.ts";
import { preview } from "../workers/console/preview.ts";
import { completeEvent, SampleEventSchema } from "../workers/console/sample-event.ts";
import type { Template } from "../workers/console/template.ts";
import { compileBundle } from "../workers/transform/compile.ts";

const folder = join(import.meta.dirname, "transformations");
/** `UPDATE_EXAMPLES=1` writes what the examples give as what is expected: read the difference before you commit it. */
const update = process.env.UPDATE_EXAMPLES === "1";

let sandbox: Sandbox;
beforeAll(async () => {
  const { transform } = await buildWorkers();
  sandbox = await startSandbox({ worker: transform, root: projectRoot, port: 0, log: () => {} });
}, 120_000);
afterAll(() => sandbox.stop());

async function run(template: Template, inputs: Record<string, unknown>) {
  const { code, example } = template;
  const { credentials = {} } = example;
  const script = { id: template.id, code, on_error: "pass" as const, inputs, credentials };
  const bundle = await compileBundle({ team: "acme", scripts: [script], filters: {} });
  const events = example.events.map((event, i) => completeEvent(SampleEventSchema.parse(event), template.id, i));
  const deps = {
    sandbox: {
      fetch: ((input: string, init?: RequestInit) =>
        fetch(input.replace("http://sandbox", `http://${sandbox.address}`), init)) as typeof fetch,
    },
    open: async (plain: string) => plain,
  };
  const outcome = await preview(deps, bundle, events, []);
  if (outcome.outcome !== "previewed") throw new Error(outcome.message);
  return outcome.preview;
}

const defaults = ({ inputs }: Template) => Object.fromEntries(inputs.map((input) => [input.key, input.default]));

describe.each(TEMPLATES)("template $id", (template) => {
  it("does with its example what it says", async () => {
    const { events, dropped, errors } = await run(template, template.example.inputs);
    const path = join(folder, template.id, "example.expected.json");
    const outcome = { events, dropped, errors };
    if (update) writeFileSync(path, `${JSON.stringify(outcome, null, 2)}\n`);
    expect(outcome).toEqual(JSON.parse(readFileSync(path, "utf8")));
    expect(errors).toEqual([]);
  });

  it("runs with what its settings are at first", async () => {
    expect((await run(template, defaults(template))).errors).toEqual([]);
  });

  it("says of each setting what it is, and sets each in its example", () => {
    for (const { key, label, description, type, options, ...rest } of template.inputs) {
      expect([key, label, description].every((text) => text.length > 0)).toBe(true);
      expect(rest.default).toBeDefined();
      if (type === "choice") expect(options).toContain(rest.default);
      expect(template.code).toContain(key);
    }
    expect(Object.keys(template.example.inputs).sort()).toEqual(template.inputs.map(({ key }) => key).sort());
  });
});

it("every folder is a template", () => {
  expect(TEMPLATES.map(({ id }) => id)).toEqual(readdirSync(folder).sort());
});
