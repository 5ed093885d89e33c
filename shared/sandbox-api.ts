/**
 * HTTP between the pump and the sandbox, the same over a service binding and between two local processes.
 *
 * `PUT /bundles/<hash>` (JSON: BundleUpload) makes a bundle known.
 * `POST /run/<hash>` (NDJSON: events) runs a batch. The answer's HEADERS are sent when the batch starts to run, its body when it
 * has run: a sandbox that dies between the two died of that batch, because batches run one at a time. `?careful=1` runs one event
 * and one script at a time and writes a `Progress` line before each; `skip=<script id>` (repeatable) applies that script's error
 * policy instead of running it; `fail=<event index>:<script id>` (repeatable) does so for one event. Neither counts as an error.
 * A connection that breaks after the headers means the same as a death: the batch could not be run to its end.
 * `?only=<destination>` runs that destination's script alone, on events that have passed the chain and the filter before: the answer
 * has no event lines, and its `own` counts the inputs.
 * `GET /health` answers 200 as long as the event loop turns.
 *
 * Answers other than 200: 404 `bundle_missing` (PUT it and come back), 422 `bundle_broken` (the bundle does not load), 503.
 * Body of a 200: lines; in careful mode Progress lines first; then one `RunResult` line as JSON; then the events, one a line; then,
 * for each destination in `own`, what is sent there instead.
 */
import type { Bundle } from "./snapshot.ts";

export interface BundleUpload {
  bundle: Bundle;
  /** Script id → name → secret, opened. Empty where no script has any. */
  credentials: Record<string, Record<string, string>>;
}

export interface RunResult {
  /** For each event line, the index of the input that it came from, ascending; null where every input gave exactly one. */
  sources: number[] | null;
  /**
   * Inputs that were run: the first ones, where what they became is all that one answer holds. The others are to come again, and
   * nothing here is about them. Absent: all were.
   */
  ran?: number;
  /** Indexes of inputs that a script dropped. */
  dropped: number[];
  /** Inputs that a script's policy, or the event itself, sends to the quarantine: they give no lines. Absent: none. */
  quarantined?: { index: number; script: string; message: string }[];
  /** By destination id with a filter: ascending indexes of the event LINES that it takes. */
  matches: Record<string, number[]>;
  /** By destination id with a script of its own: what is sent there. Absent: no destination has one. */
  own?: Record<string, OwnShare>;
  /** One entry for each script and message, `count` events each. */
  errors: ScriptError[];
  /** What scripts logged, in order, the first hundred; absent where they logged nothing. */
  logs?: ScriptLog[];
  /** How the scripts that ran did, in chain order; absent where none did. */
  use?: ScriptUse[];
}

/**
 * What a destination's own script made of the lines that its filter takes. A line is an event, or, where the script shaped the
 * request, a `ShapedEvent`.
 */
export interface OwnShare {
  /** How many lines are the destination's; they follow those of the destinations before it. */
  count: number;
  /** For each of them, the index of the event LINE that it came from, ascending. */
  sources: number[];
  /** Indexes of event LINES that the script dropped. */
  dropped: number[];
  /** Of its lines, by position: those that the script failed on, kept as dead letters; such a line is the event as the script got it. */
  dead: { line: number; message: string }[];
}

/**
 * What a destination's script returned instead of an event. Whatever is absent is as the destination's settings have it; without a body
 * that is the event, and all of its fields stand beside these.
 */
export interface ShapedEvent {
  /** Of the event that it was made from, or derived from it. */
  uuid: string;
  event: string;
  distinct_id: string;
  $request: {
    /** Webhook. */
    url?: string;
    headers?: Record<string, string>;
    /** A text is sent as it is, anything else as JSON. */
    body?: unknown;
    /** Kafka. */
    key?: string | null;
    topic?: string;
  };
}

/** Of one script over one batch. */
export interface ScriptUse {
  script: string;
  /** Events that it was given. */
  events: number;
  dropped: number;
  errors: number;
  /** Steps of fuel that it used altogether. */
  steps: number;
  /** Events by steps used, in powers of two: entry i counts events of fewer than 2^i steps. Trailing zeros are left out. */
  histogram: number[];
}

export interface ScriptLog {
  script: string;
  /** Index of the input that it spoke about. */
  index: number;
  text: string;
}

export interface ScriptError {
  script: string;
  /** For the script's author, with line and column where known. */
  message: string;
  count: number;
  /** Index of the first input that it happened on. */
  index: number;
  /** Stack in the author's own lines, innermost first, such as `scale (script.ts:3:14)`; absent where there is none. */
  stack?: string[];
}

export interface Progress {
  event: number;
  script: string;
}
