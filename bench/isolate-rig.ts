import type { Sandbox } from "../runtime/sandbox-process.ts";
import type { Bundle } from "../shared/snapshot.ts";
import { startBenchWorker } from "./bench-worker.ts";
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
    return new IsolateRig(await startBenchWorker("isolate-worker.ts", { "bench:script": SCRIPT }));
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
