/**
 * HTTP between the pump and the sandbox, the same over a service binding and between two local processes.
 *
 * `PUT /bundles/<hash>` (JSON: Bundle) makes a bundle known.
 * `POST /run/<hash>` (NDJSON: events) runs a batch. The answer's HEADERS are sent when the batch starts to run, its body when it
 * has run: a sandbox that dies between the two died of that batch, because batches run one at a time. `?careful=1` runs one event
 * and one script at a time and writes a `Progress` line before each; `skip=<script id>` (repeatable) applies that script's error
 * policy instead of running it; `fail=<event index>:<script id>` (repeatable) does so for one event. Neither counts as an error.
 * A connection that breaks after the headers means the same as a death: the batch could not be run to its end.
 * `GET /health` answers 200 as long as the event loop turns.
 *
 * Answers other than 200: 404 `bundle_missing` (PUT it and come back), 422 `bundle_broken` (the bundle does not load), 503.
 * Body of a 200: lines; in careful mode Progress lines first; then one `RunResult` line as JSON; then the events, one a line.
 */
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
  /** By destination id with a filter: ascending indexes of the event LINES that it takes. */
  matches: Record<string, number[]>;
  /** One entry for each script and message, `count` events each. */
  errors: ScriptError[];
  /** What scripts logged, in order, the first hundred; absent where they logged nothing. */
  logs?: ScriptLog[];
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
}

export interface Progress {
  event: number;
  script: string;
}
