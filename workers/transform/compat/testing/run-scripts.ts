import { exports } from "cloudflare:workers";
import type { Event } from "../../../../shared/event.ts";
import type { BundleUpload, RunResult } from "../../../../shared/sandbox-api.ts";
import { type BundleSource, compileBundle } from "../../compile.ts";

export interface ScriptRun {
  result: RunResult;
  events: Event[];
}

export interface ScriptSpec {
  code: string;
  /** Says whether it is TypeScript. */
  filename?: string;
  inputs?: Record<string, unknown>;
  credentials?: Record<string, string>;
  modules?: BundleSource["modules"];
}

/** Publishes scripts as a chain, and runs events through it in the deployed sandbox. `careful`: one event and script at a time. */
export async function runScripts(
  specs: readonly ScriptSpec[],
  events: readonly unknown[],
  careful = false,
): Promise<ScriptRun> {
  const bundle = await compileBundle({
    team: "acme",
    scripts: specs.map(({ code, filename, inputs = {} }, i) => ({
      ...{ id: `s${i}`, code, filename, inputs, on_error: "pass" as const },
    })),
    modules: specs.flatMap(({ modules = [] }) => modules),
    filters: {},
  });
  const credentials = Object.fromEntries(specs.map(({ credentials = {} }, i) => [`s${i}`, credentials]));
  const upload: BundleUpload = { bundle, credentials };
  const { default: sandbox } = exports as unknown as { default: Fetcher };
  await sandbox.fetch(`http://sandbox/bundles/${bundle.hash}`, { method: "PUT", body: JSON.stringify(upload) });
  const answer = await sandbox.fetch(`http://sandbox/run/${bundle.hash}${careful ? "?careful=1" : ""}`, {
    method: "POST",
    body: events.map((event) => JSON.stringify(event)).join("\n"),
  });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  const lines = (await answer.text()).split("\n").map((line) => JSON.parse(line) as unknown);
  const head = lines.findIndex((line) => "sources" in (line as object));
  return { result: lines[head] as RunResult, events: lines.slice(head + 1) as Event[] };
}
