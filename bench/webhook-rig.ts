import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { Log, LogLevel, Miniflare } from "../runtime/closed-miniflare.ts";
import { type Sink, startSink } from "./sink.ts";

const NAME = "bench-webhook";

/** webhook-worker.ts on a workerd of its own, and a receiver. */
export class WebhookRig {
  readonly #miniflare: InstanceType<typeof Miniflare>;
  readonly #sink: Sink;

  private constructor(miniflare: InstanceType<typeof Miniflare>, sink: Sink) {
    this.#miniflare = miniflare;
    this.#sink = sink;
  }

  static async start(): Promise<WebhookRig> {
    const { outputFiles } = await build({
      entryPoints: [join(import.meta.dirname, "webhook-worker.ts")],
      ...{ bundle: true, write: false, format: "esm", target: "es2024", external: ["cloudflare:*", "node:*"] },
    });
    const root = mkdtempSync(join(tmpdir(), "headwater-webhook-"));
    const contents = outputFiles[0]?.text ?? "";
    const miniflare = new Miniflare({
      ...{ resourcePersistencePath: join(root, "state"), telemetry: { enabled: false }, cf: false },
      ...{ enableDevRegistry: false, log: new Log(LogLevel.ERROR) },
      workers: [
        {
          config: {
            ...{ name: NAME, compatibilityDate: "2026-10-30", compatibilityFlags: ["nodejs_compat"], triggers: [] },
            exports: { Delivery: { type: "durable-object", storage: "sqlite" } },
            env: {
              DELIVERY: { type: "durable-object", worker: NAME, exportName: "Delivery" },
            },
            manifest: {
              ...{ mainModule: "index.js", modulesRoot: root },
              modules: { "index.js": { type: "esm", contents } },
            },
          },
          dev: { unsafeRegisterWorker: false },
        },
      ],
    });
    await miniflare.ready;
    return new WebhookRig(miniflare, await startSink(1));
  }

  /** Events per second of so many requests, without the time that filling takes. */
  async rate(how: "bare" | "drain", requests: number, size: number, event: string): Promise<number> {
    const before = this.#sink.delivered();
    await this.#ask("PUT", "/", JSON.stringify({ url: this.#sink.url, event, requests, size }));
    if (how === "drain") await this.#ask("POST", "/fill");
    const started = performance.now();
    await this.#ask("POST", `/${how}`);
    const rate = (requests * size) / ((performance.now() - started) / 1_000);
    const delivered = this.#sink.delivered() - before;
    if (delivered !== requests * size) throw new Error(`bench: ${delivered} of ${requests * size} events arrived`);
    return rate;
  }

  async stop(): Promise<void> {
    await this.#miniflare.dispose();
    await this.#sink.stop();
  }

  async #ask(method: string, path: string, body?: string): Promise<void> {
    const worker = await this.#miniflare.getWorker(NAME);
    const response = await worker.fetch(`http://bench${path}`, body === undefined ? { method } : { method, body });
    if (!response.ok) throw new Error(`bench: the worker answered ${response.status} ${await response.text()}`);
  }
}
