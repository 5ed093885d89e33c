import type { Sandbox } from "../runtime/sandbox-process.ts";
import { startBenchWorker } from "./bench-worker.ts";
import type { CaptureRequest } from "./capture-requests.ts";
import type { DecodeSetup } from "./decode-worker.ts";

/** A call is long beside asking for it, and too short for the supervisor to take the process for hung. */
const CALL_EVENTS = 2_000;
const MOST_ROUNDS = 200;

/** decode-worker.ts on a workerd of its own. */
export class DecodeRig {
  readonly #sandbox: Sandbox;
  #rounds = 0;
  #events = 0;

  private constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  static async start(): Promise<DecodeRig> {
    return new DecodeRig(await startBenchWorker("decode-worker.ts"));
  }

  async use({ body, ...request }: CaptureRequest): Promise<void> {
    this.#rounds = Math.min(MOST_ROUNDS, CALL_EVENTS / request.events);
    this.#events = request.events;
    await this.#ask("PUT", "/", JSON.stringify({ ...request, body: body.toString("base64") } satisfies DecodeSetup));
  }

  /** Events per second. */
  async rate(how: "bare" | "decode" | "encode", durationMs: number): Promise<number> {
    const started = performance.now();
    let events = 0;
    for (; performance.now() - started < durationMs; events += this.#rounds * this.#events) {
      await this.#ask("POST", `/${how}?rounds=${this.#rounds}`);
    }
    return events / ((performance.now() - started) / 1_000);
  }

  stop(): Promise<void> {
    return this.#sandbox.stop();
  }

  async #ask(method: string, path: string, body?: string): Promise<void> {
    const init = body === undefined ? { method } : { method, body };
    const response = await fetch(`http://${this.#sandbox.address}${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`bench: the decode worker answered ${response.status} ${text}`);
  }
}
