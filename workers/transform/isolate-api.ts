import type { Filter } from "../../shared/filter.ts";
import type { Bundle, BundleScript } from "../../shared/snapshot.ts";
import type { ShapeOutput, StepOutput } from "./isolate/chain-types.ts";

/** Between the sandbox's host and the harness inside an isolate: RPC, events as UTF-8 bytes. */
export interface IsolateApi {
  /** Resolves once every module has parsed; no script has run by then. */
  check(): Promise<boolean>;
  /** NDJSON in; out: the RunResult line, then the events, then the destinations' own lines. `only`: that destination's script alone. */
  run(events: Uint8Array, skips: BatchSkips, only: string | null): Promise<Uint8Array>;
  /** Careful mode: one script on what has become of one event; `mark` applies its error policy instead of running it. */
  step(script: number, index: number, lines: string[], mark: boolean): Promise<StepOutput>;
  /** Careful mode: which lines each filtered destination takes. */
  match(lines: string[]): Promise<Record<string, number[]>>;
  /**
   * Careful mode: one destination's script, by its position among `shapers`, on those of an input's lines that the destination
   * takes; the share's numbers count these lines. `room`: characters that they may become.
   */
  shape(shaper: number, index: number, lines: string[], mark: boolean, room: number): Promise<ShapeOutput>;
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
  /** Without their sealed credentials. */
  scripts: Omit<BundleScript, "credentials">[];
  shapers: Record<string, Omit<NonNullable<Bundle["shapers"]>[string], "credentials">>;
  filters: Record<string, Filter>;
  /** Script id → name → secret, opened. Nobody but this isolate gets them. */
  credentials: Record<string, Record<string, string>>;
}
