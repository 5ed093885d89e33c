import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { type Sandbox, startSandbox } from "../runtime/sandbox-process.ts";

/** A worker of this folder on a workerd of its own. `modules`: what it imports that is no file, by name. */
export async function startBenchWorker(entry: string, modules: Record<string, string> = {}): Promise<Sandbox> {
  const root = mkdtempSync(join(tmpdir(), "headwater-bench-"));
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, entry)],
    ...{ bundle: true, write: false, format: "esm", target: "es2024", external: ["cloudflare:workers", "node:*"] },
    plugins: [
      {
        name: "modules",
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^bench:/ }, ({ path }) => ({ path, namespace: "bench" }));
          onLoad({ filter: /.*/, namespace: "bench" }, ({ path }) => ({ contents: modules[path] ?? "" }));
        },
      },
    ],
  });
  writeFileSync(join(root, "index.js"), outputFiles[0]?.text ?? "");
  const worker = { main: "index.js", compatibilityDate: "2026-10-30", compatibilityFlags: [] };
  // It computes for as long as a request takes, answers nobody else meanwhile, and leaves its garbage for later.
  const limits = { hangMs: 60_000, stuckMs: 60_000, rssBytes: 8 * 1024 ** 3 };
  return startSandbox({ worker, root, port: 0, log: (record) => console.error(record), limits });
}
