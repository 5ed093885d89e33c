import { buildWorkers } from "../runtime/build.ts";
import { projectRoot } from "../runtime/project.ts";
import { type Sandbox, startSandbox } from "../runtime/sandbox-process.ts";
import type { BundleUpload, RunResult } from "../shared/sandbox-api.ts";
import type { Bundle } from "../shared/snapshot.ts";
import { memory } from "../test/e2e/process-tree.ts";
import { compileBundle } from "../workers/transform/compile.ts";
import { SCRIPT } from "./script.ts";

/** The sandbox process, asked as pumps ask it: a bundle that it does not know is put, and the batch comes again. */
export class TeamsRig {
  readonly #sandbox: Sandbox;
  #made = 0;

  private constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  static async start(): Promise<TeamsRig> {
    const { transform: worker } = await buildWorkers();
    return new TeamsRig(await startSandbox({ worker, root: projectRoot, port: 0, log: () => {} }));
  }

  /** Bundles of so many teams that nobody has seen. */
  bundles(count: number): Promise<Bundle[]> {
    const of = (team: string) =>
      compileBundle({ team, scripts: [{ id: "s", code: SCRIPT, on_error: "pass", inputs: {} }], filters: {} });
    return Promise.all(Array.from({ length: count }, () => of(`team-${this.#made++}`)));
  }

  async put(bundle: Bundle): Promise<void> {
    const upload: BundleUpload = { bundle, credentials: {} };
    await this.#ask("PUT", `/bundles/${bundle.hash}`, JSON.stringify(upload));
  }

  /** Milliseconds until the answers for all of them were read. A batch that had its time goes on with the next one. */
  async run(bundle: Bundle, lines: readonly string[]): Promise<number> {
    const started = performance.now();
    for (let done = 0; done < lines.length; ) {
      const answer = await this.#ask("POST", `/run/${bundle.hash}`, lines.slice(done).join("\n"));
      if (answer === null) {
        await this.put(bundle);
        continue;
      }
      const { errors, ran = lines.length - done } = JSON.parse(answer.slice(0, answer.indexOf("\n"))) as RunResult;
      if (errors.length > 0) throw new Error(`bench: the script failed: ${JSON.stringify(errors)}`);
      done += ran;
    }
    return performance.now() - started;
  }

  /** Of the process, at this moment. */
  get residentBytes(): number {
    return memory(this.#sandbox.pid()).residentBytes;
  }

  get restarts(): number {
    return this.#sandbox.restarts();
  }

  stop(): Promise<void> {
    return this.#sandbox.stop();
  }

  /** Null where the bundle is missing. */
  async #ask(method: string, path: string, body: string): Promise<string | null> {
    const response = await fetch(`http://${this.#sandbox.address}${path}`, { method, body });
    const text = await response.text();
    if (response.ok) return text;
    if (response.status === 404) return null;
    throw new Error(`bench: the sandbox answered ${response.status} ${text}`);
  }
}
