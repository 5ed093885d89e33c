import type { Filter } from "../../shared/filter.ts";
import type { ScriptError, ScriptLog } from "../../shared/sandbox-api.ts";
import type { BundleScript } from "../../shared/snapshot.ts";

/** Between the sandbox's host and the harness inside an isolate: RPC, events as UTF-8 bytes. */
export interface IsolateApi {
  /** Resolves once every module has parsed; no script has run by then. */
  check(): Promise<boolean>;
  /** NDJSON in; out: the RunResult line, then the events. */
  run(events: Uint8Array, skips: BatchSkips): Promise<Uint8Array>;
  /** Careful mode: one script on what has become of one event; `mark` applies its error policy instead of running it. */
  step(
    script: number,
    index: number,
    lines: string[],
    mark: boolean,
  ): Promise<{ lines: string[]; errors: ScriptError[]; logs: ScriptLog[] }>;
  /** Careful mode: which lines each filtered destination takes. */
  match(lines: string[]): Promise<Record<string, number[]>>;
  /** Ends the isolate; always rejects. */
  drop(): Promise<never>;
}

export interface BatchSkips {
  scripts: string[];
  events: [index: number, script: string][];
}

/** The isolate's `bundle.json`. */
export interface ScriptsConfig {
  team: string;
  scripts: BundleScript[];
  filters: Record<string, Filter>;
}
