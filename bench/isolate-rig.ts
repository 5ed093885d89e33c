import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { type Sandbox, startSandbox } from "../runtime/sandbox-process.ts";
import type { Bundle } from "../shared/snapshot.ts";
import { SCRIPT } from "./script.ts";

/** Enough that asking costs nothing beside them, and too few for the supervisor to take the process for hung. */
const ROUNDS = 40;

/** isolate-worker.ts on a workerd of its own. */
export class IsolateRig {
  readonly #sandbox: Sandbox;

  private constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  static async start(): Promise<IsolateRig> {
    const root = mkdtempSync(join(tmpdir(), "headwater-isolate-"));
    const { outputFiles } = await build({
      entryPoints: [join(import.meta.dirname, "isolate-worker.ts")],
      ...{ bundle: true, write: false, format: "esm", target: "es2024", external: ["cloudflare:workers", "node:*"] },
      plugins: [
        {
          name: "script",
          setup({ onResolve, onLoad }) {
            onResolve({ filter: /^bench:script$/ }, ({ path }) => ({ path, namespace: "bench" }));
            onLoad({ filter: /.*/, namespace: "bench" }, () => ({ contents: SCRIPT }));
          },
        },
      ],
    });
    writeFileSync(join(root, "index.js"), outputFiles[0]?.text ?? "");
    const worker = { main: "index.js", compatibilityDate: "2026-10-30", compatibilityFlags: [] };
    return new IsolateRig(await startSandbox({ worker, root, port: 0, log: () => {} }));
  }

  async use(bundle: Bundle, events: string): Promise<void> {
    await this.#ask("PUT", "/", JSON.stringify({ bundle, events }));
  }

  /** Events per second of so many requests. */
  async rate(how: "bare" | "isolate", requests: number, eventsPerRound: number): Promise<number> {
    const started = performance.now();
    for (let i = 0; i < requests; i++) await this.#ask("POST", `/${how}?rounds=${ROUNDS}`);
    return (requests * ROUNDS * eventsPerRound) / ((performance.now() - started) / 1_000);
  }

  stop(): Promise<void> {
    return this.#sandbox.stop();
  }

  async #ask(method: string, path: string, body?: string): Promise<void> {
    const init = body === undefined ? { method } : { method, body };
    const response = await fetch(`http://${this.#sandbox.address}${path}`, init);
    if (!response.ok) throw new Error(`bench: the isolate worker answered ${response.status} ${await response.text()}`);
    await response.text();
  }
}
