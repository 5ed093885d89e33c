import { describe, expect, it } from "vitest";
import { compileBundle } from "../compile.ts";
import { LIBRARY_TEXTS } from "../generated/isolate.ts";
import { LIBRARIES } from "../library-names.ts";
import { ScriptCompileError } from "../script-compile-error.ts";
import { COMPAT_LIBRARIES } from "./libraries.ts";

async function publish(code: string, filename = "script.js") {
  const script = { id: "s", code, filename, on_error: "pass" as const, inputs: {} };
  const modules = [{ id: "util", code: "export const double = (n) => 2 * n;", filename: "util.js" }];
  return compileBundle({ team: "acme", scripts: [script], modules, filters: {} });
}

async function refusal(code: string): Promise<ScriptCompileError> {
  try {
    await publish(code);
  } catch (error) {
    if (error instanceof ScriptCompileError) return error;
    throw error;
  }
  throw new Error("was published");
}

const plugin = "export function processEvent(event) { return event }";

describe("a PostHog plugin is refused when it is published, with the line and what to use instead, where it", () => {
  it.each([
    [
      "sends events on",
      `${plugin}\nexport async function onEvent(event) {}`,
      2,
      "cannot run onEvent: the transformations only change events",
    ],
    [
      "exports events",
      "export async function exportEvents(events) {}",
      1,
      "cannot run exportEvents: the transformations only change events",
    ],
    [
      "makes webhooks",
      "export function composeWebhook(event) {}",
      1,
      "a webhook destination's script returns { url, headers, body }",
    ],
    [
      "runs by the clock",
      `${plugin}\n\nexport const runEveryMinute = () => {}`,
      3,
      "cannot run runEveryMinute: a script runs only when there are events",
    ],
    [
      "has jobs",
      `${plugin}\nexport const jobs = { later() {} }`,
      2,
      "cannot run jobs: a script runs only when there are events",
    ],
    [
      "does so as CommonJS",
      "module.exports = {\n  processEvent: (e) => e,\n  onEvent(e) {},\n}",
      3,
      "cannot run onEvent",
    ],
    [
      "does so by default",
      "const p = {\n  processEvent: (e) => e,\n  onEvent(e) {},\n};\nexport default p",
      3,
      "cannot run onEvent",
    ],
    [
      "has nothing to run",
      "export function setupPlugin() {}",
      null,
      "exports neither processEvent nor processEventBatch",
    ],
    [
      "uses storage",
      "export async function processEvent(event, { storage }) {\n  return event }",
      1,
      "cannot use meta.storage: a script has no storage: give it what it needs as inputs",
    ],
    [
      "uses storage by meta",
      "export async function processEvent(e, m) {\n  await m.storage.get('x');\n  return e }",
      2,
      "cannot use meta.storage",
    ],
    [
      "takes meta apart",
      "export async function processEvent(e, m) {\n  const { cache } = m;\n  return e }",
      2,
      "cannot use meta.cache: a script has no cache",
    ],
    [
      "uses the cache",
      "exports.processEvent = async (e, meta) => {\n\n  await meta.cache.set('a', 1) }",
      3,
      "cannot use meta.cache",
    ],
    ["passes meta on", `${plugin}\nconst seen = async (id, meta) => meta.cache.get(id)`, 2, "cannot use meta.cache"],
    [
      "needs attachments",
      `export function setupPlugin({ attachments: { db } }) {}\n${plugin}`,
      1,
      "cannot use meta.attachments: a script has no attached files",
    ],
    [
      "starts jobs",
      "export async function processEvent(e, { jobs }) { await jobs.x().runNow() }",
      1,
      "cannot use meta.jobs",
    ],
    [
      "captures events",
      "export function processEvent(e) {\n  posthog.capture('x');\n  return e }",
      2,
      "cannot use posthog: a plugin cannot capture events",
    ],
    [
      "fetches",
      "export async function processEvent(e) {\n  await fetch('https://x') }",
      2,
      "cannot use fetch: a script has no network",
    ],
    [
      "fetches by meta",
      "export async function processEvent(e, { fetch }) { await fetch('https://x') }",
      1,
      "cannot use meta.fetch: a script has no network",
    ],
    [
      "imports a client",
      `import fetch from 'node-fetch'\n${plugin}`,
      1,
      'cannot import "node-fetch": a script has no network',
    ],
    [
      "imports buffers",
      `import { createBuffer } from '@posthog/plugin-contrib'\n${plugin}`,
      1,
      "its buffers and retries are what destinations do",
    ],
    [
      "requires a client",
      "const fetch = require('node-fetch')\nexports.processEvent = (e) => e",
      1,
      'cannot require "node-fetch": a script has no network',
    ],
    [
      "requires something else",
      "const _ = require('lodash')\nexports.processEvent = (e) => e",
      1,
      'cannot require "lodash": a plugin can require crypto, url and @posthog/plugin-scaffold',
    ],
    [
      "asks for what is not there",
      `import { createCipheriv } from 'crypto'\n${plugin}`,
      1,
      '"crypto" exports no "createCipheriv"',
    ],
    [
      "sets timers",
      "export function processEvent(e) { setTimeout(() => {}, 1); return e }",
      1,
      "cannot use setTimeout: a script has no timers",
    ],
  ])("%s", async (_, code, line, message) => {
    const error = await refusal(code);
    expect(error.message).toContain(message);
    expect(error.line).toBe(line);
    if (line !== null) expect(error.frame).toContain(`> ${line} | `);
  });

  it("says everything at once", async () => {
    const error = await refusal(`import pg from 'pg'
export async function processEvent(event, { storage, cache }) { return posthog.capture(event) }
export function onEvent() {}`);
    expect([error, ...error.also].map(({ line }) => line).sort()).toEqual([1, 2, 2, 2, 3]);
  });
});

describe("a RudderStack transformation is refused when it is published where it", () => {
  it.each([
    [
      "fetches",
      "export async function transformEvent(e) {\n  return await fetchV2('https://x') }",
      2,
      "cannot use fetchV2: a script has no network",
    ],
    [
      "fetches otherwise",
      "export async function transformEvent(e) {\n  return await fetch('https://x') }",
      2,
      "cannot use fetch: a script has no network",
    ],
    [
      "has two entries",
      "export const transformEvent = (e) => e\nexport function transformBatch(events, metadata) { return events }",
      2,
      'exports both "transformEvent" and "transformBatch"',
    ],
    [
      "encrypts",
      "import { JSEncrypt } from '@rs/encrypt/v1'\nexport const transformEvent = (e) => e",
      1,
      'cannot import "@rs/encrypt/v1": of RudderStack\'s libraries there are @rs/hash/v1 and @rs/userAgentParser/v1',
    ],
    [
      "imports what there is not",
      "import { x } from 'missing'\nexport const transformEvent = (e) => e",
      1,
      "the team's modules are util",
    ],
    [
      "asks a library for too much",
      "import { sha512 } from '@rs/hash/v1'\nexport const transformEvent = (e) => e",
      1,
      '"@rs/hash/v1" exports no "sha512"',
    ],
  ])("%s", async (_, code, line, message) => {
    const error = await refusal(code);
    expect(error.message).toContain(message);
    expect(error.line).toBe(line);
  });
});

describe("what a script is written for", () => {
  it.each([
    ["posthog", plugin],
    ["posthog", "export async function processEventBatch(events, meta) { return events }"],
    ["posthog", "export default { processEvent: (event) => event }"],
    ["posthog", "const plugin = { processEvent(event) { return event } };\nexport default plugin"],
    ["posthog", "module.exports = { processEvent: (event) => event }"],
    ["posthog", "module.exports.processEvent = (event) => event"],
    ["posthog", '"use strict"; exports.processEvent = void 0; exports.processEvent = (event) => event'],
    ["posthog", "exports.default = { processEvent: (event) => event }"],
    ["posthog", "function processEvent(e) { return e }\nexport { processEvent }"],
    ["rudderstack", "export function transformEvent(event) { return event }"],
    ["rudderstack", "export function transformBatch(events, metadata) { return events }"],
    ["rudderstack", "export function transformBatch(events, m) { return events.filter((e) => m(e).sourceId) }"],
    ["rudderstack", "export function transformBatch(events) { log(events.length); return events }"],
    [null, "export function transformBatch(events, ctx) { return events }"],
    [null, "export function transformBatch(events) { return events }"],
    [null, "const log = (x) => x; export function transformBatch(events) { log(1); return events }"],
    [null, "export function transform(event) { return event }\nexport function processEvent(event) { return event }"],
  ])("is %s: %s", async (dialect, code) => {
    const { scripts, libraries = [] } = await publish(code);
    expect(scripts[0]?.authored).toBe(dialect === null ? undefined : "script-0.js");
    expect(libraries.filter((name) => /posthog|rudder/.test(name))).toEqual(
      dialect === null ? [] : [`headwater:compat-${dialect}`],
    );
  });

  it("leaves type imports of PostHog's scaffold behind, and finds its values", async () => {
    const code = `import { Plugin, PluginEvent, RetryError } from '@posthog/plugin-scaffold'
export const processEvent: Plugin['processEvent'] = (event: PluginEvent) => { if (!event) throw new RetryError('x'); return event }`;
    const { modules, libraries } = await publish(code, "plugin.ts");
    expect(modules["script-0.js"]).toMatch(/^import \{ *RetryError *\} from "\.\/headwater-compat-scaffold\.js"/);
    expect(libraries).toEqual(["headwater:compat-posthog", "headwater:compat-scaffold"]);
  });

  it("keeps the author's lines where they are", async () => {
    const code = "\nexports.processEvent = (event) => event";
    const { modules } = await publish(code);
    expect(modules["script-0.js"]?.split("\n")[1]).toContain("exports.processEvent = (event) =>");
  });

  it("is no way to the libraries under their own names", async () => {
    const error = await refusal(`import { log } from "headwater:compat-rudderstack"\n${plugin}`);
    expect(error.message).toContain("the libraries are headwater:bot");
  });
});

describe("libraries of other products", () => {
  it("are built, and export what is listed", async () => {
    const built = Object.keys(LIBRARY_TEXTS).filter((name) => name.startsWith("headwater:compat-"));
    expect(built).toEqual(Object.keys(COMPAT_LIBRARIES));
    expect(Object.keys(LIBRARIES).some((name) => name in COMPAT_LIBRARIES)).toBe(false);
    for (const name of built) {
      const library = (await import(`./isolate/${name.replace("headwater:compat-", "")}.ts`)) as object;
      expect(Object.keys(library).sort(), name).toEqual([...COMPAT_LIBRARIES[name]!].sort());
    }
  });
});
