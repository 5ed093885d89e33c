import { buildWorkers } from "../runtime/build.ts";
import { projectRoot } from "../runtime/project.ts";
import { type Sandbox, startSandbox } from "../runtime/sandbox-process.ts";
import type { BundleUpload, RunResult } from "../shared/sandbox-api.ts";
import { compileBundle } from "../workers/transform/compile.ts";
import { refuseOtherThan200 } from "./checks.ts";
import { load, postRequest } from "./load.ts";

/** The sandbox process with the benches' script in it, and one batch of events to send again and again. */
export class SandboxRig {
  readonly #sandbox: Sandbox;
  readonly #bytes: Buffer;
  readonly #batch: number;

  private constructor(sandbox: Sandbox, bytes: Buffer, batch: number) {
    this.#sandbox = sandbox;
    this.#bytes = bytes;
    this.#batch = batch;
  }

  /** Runs the batch once, to see that the script ran on every event of it and threw on none. */
  static async start(code: string, lines: readonly string[]): Promise<SandboxRig> {
    const { transform: worker } = await buildWorkers();
    const sandbox = await startSandbox({ worker, root: projectRoot, port: 0, log: () => {} });
    const script = { id: "script", code, on_error: "pass" as const, inputs: {} };
    const bundle = await compileBundle({ team: "bench", scripts: [script], filters: {} });
    const put = await fetch(`http://${sandbox.address}/bundles/${bundle.hash}`, {
      method: "PUT",
      body: JSON.stringify({ bundle, credentials: {} } satisfies BundleUpload),
    });
    if (!put.ok) throw new Error(`bench: the sandbox refused the bundle with ${put.status} ${await put.text()}`);
    const path = `/run/${bundle.hash}`;
    const ndjson = lines.join("\n");
    const response = await fetch(`http://${sandbox.address}${path}`, { method: "POST", body: ndjson });
    const [result = "", ...events] = (await response.text()).split("\n");
    const { errors } = JSON.parse(result) as RunResult;
    const changed = events.filter((line) => line.includes('"plan_upper":') && !line.includes('"email":'));
    if (errors.length > 0 || changed.length !== lines.length) {
      throw new Error(`bench: the sandbox answered ${response.status} ${result}`);
    }
    return new SandboxRig(sandbox, postRequest(`http://${sandbox.address}`, path, Buffer.from(ndjson)), lines.length);
  }

  /** Events per second with so many batches under way; it runs one at a time. */
  async rate(underWay: number, durationMs: number): Promise<number> {
    const options = {
      ...{ url: `http://${this.#sandbox.address}`, connections: underWay, durationMs },
      request: () => this.#bytes,
    };
    return refuseOtherThan200(await load(options)).rps * this.#batch;
  }

  stop(): Promise<void> {
    return this.#sandbox.stop();
  }
}
