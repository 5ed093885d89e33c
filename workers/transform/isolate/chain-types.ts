import type { Filter } from "../../../shared/filter.ts";
import type { OwnShare, RunResult, ScriptError, ScriptLog, ScriptUse } from "../../../shared/sandbox-api.ts";
import type { ShaperPolicy } from "./destination-share.ts";
import type { ScriptSource } from "./script.ts";
import type { Idle } from "./settle.ts";

/** Where a script's own steps are counted (fuel-tank.ts). */
export interface Tank {
  refill(steps: number): void;
  drain(): number;
  /** Steps that are left. */
  level(): number;
  emptiedAt(): Error | null;
}

export interface ChainLimits {
  /** Steps of one script on one event. */
  eventSteps: number;
  /** Steps of one script over a batch: what a script that always runs dry may cost everybody else. */
  batchSteps: number;
  /** Steps of a script's top level. */
  loadSteps: number;
  /** Events that one event may become. */
  outputs: number;
  /** Characters of what one event may become, destinations' own lines included, and beyond which a batch ends early. */
  outputChars: number;
}

export interface ChainScript extends ScriptSource {
  on_error: "pass" | "drop" | "quarantine";
  /** Runs on events of this source only. */
  source?: string;
}

export interface ChainShaper extends ScriptSource {
  destination: string;
  on_error: ShaperPolicy;
}

export interface ChainOptions {
  team: string;
  scripts: ChainScript[];
  /** Destinations' own scripts. */
  shapers?: ChainShaper[];
  filters: Record<string, Filter>;
  tank: Tank;
  limits?: ChainLimits;
  /** Lets the event loop turn: for scripts that return promises, and between events that cost much. */
  idle?: Idle;
  /** Milliseconds. Absent: a batch may take any time. */
  now?: () => number;
}

/** What not to run, by script id: on the whole batch, and by index of the event. */
export interface Skips {
  scripts: ReadonlySet<string>;
  events: ReadonlyMap<number, ReadonlySet<string>>;
}

export interface ChainOutput {
  result: RunResult;
  /** The events, then the destinations' own lines. */
  lines: string[];
}

/** Careful mode: what one step gave. */
export interface StepOutput {
  lines: string[];
  /** The input goes to the quarantine. Absent: it does not. */
  quarantined?: Halt;
  errors: ScriptError[];
  logs: ScriptLog[];
  /** Null where it did not run. */
  use: ScriptUse | null;
}

/** Careful mode: what a destination's own script made of one input's lines. */
export interface ShapeOutput {
  lines: string[];
  share: OwnShare;
  errors: ScriptError[];
  logs: ScriptLog[];
  /** Null where it did not run. */
  use: ScriptUse | null;
}

/** Why an input goes to the quarantine. */
export interface Halt {
  script: string;
  message: string;
}
