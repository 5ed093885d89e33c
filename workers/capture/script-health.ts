/**
 * How the scripts of a lane's team do: what they were given and dropped, what they failed on, what they cost and said.
 *
 * Kept for the bundle in force. Counted in memory and written along with the lane's positions, so that it costs no commit of its own: a
 * crash takes back the last moments, and may count a batch twice that came again. Kills alone are written at once, because a script that
 * takes the sandbox down may take this count with it, and they decide whether it runs again.
 */
import type { Clock } from "../../shared/clock.ts";
import type { Event } from "../../shared/event.ts";
import type { ScriptStatus } from "../../shared/lane-api.ts";
import { lineStarts, sliceLines } from "../../shared/ndjson.ts";
import type { RunResult, ScriptError } from "../../shared/sandbox-api.ts";
import type { Companion, LaneBatch } from "./lane.ts";
import { noCounts, type ScriptStore, type StoredFailure, type StoredScript } from "./script-store.ts";

/** A script during which the sandbox died this often is not run again until its team publishes another version. */
export const KILLS_BEFORE_QUARANTINE = 3;

/** Different messages kept of one script, the newest: more is a script that puts data into its messages. */
const FAILURES_COUNT = 20;
const LOGS_COUNT = 50;
/** All samples of a chain of scripts have to pass between two workers in one answer. */
const SAMPLE_MAX_BYTES = 16_384;
const MESSAGE_MAX_CHARS = 1_000;

interface Script {
  /** Changed since it was written. */
  dirty: boolean;
  stored: StoredScript;
  /** By message, the latest one last. */
  failures: Map<string, StoredFailure>;
  unwritten: Set<string>;
  evicted: Set<string>;
}

export class ScriptHealth implements Companion {
  readonly #store: ScriptStore;
  readonly #clock: Clock;
  #scripts = new Map<string, Script>();
  #bundle: string | null = null;

  constructor(store: ScriptStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    for (const stored of store.scripts()) {
      // There are those of one bundle: another one's go before it runs.
      this.#bundle = stored.bundle;
      const failures = store
        .failures(stored.bundle, stored.script)
        .map((failure) => [failure.message, failure] as const);
      this.#scripts.set(stored.script, { ...blank(stored), failures: new Map(failures) });
    }
  }

  /** This bundle takes the place of all others: what was known of their scripts is history. */
  inForce(bundle: string): void {
    if (bundle === this.#bundle) return;
    this.#bundle = bundle;
    this.#scripts = new Map();
    this.#store.keepOnly(bundle);
  }

  /** Scripts that are not run any more. */
  quarantined(): string[] {
    return [...this.#scripts].filter(([, { stored }]) => isQuarantined(stored)).map(([script]) => script);
  }

  count(batch: LaneBatch, { use, errors, logs }: RunResult): void {
    const now = this.#clock.now();
    for (const { script: id, events, dropped, steps, histogram } of use ?? []) {
      const script = this.#script(id);
      const { counts } = script.stored;
      counts.events += events;
      counts.dropped += dropped;
      counts.steps += steps;
      counts.histogram = sumOf(counts.histogram, histogram);
    }
    for (const error of errors) this.#countError(batch, error, now);
    const at = new Date(now).toISOString();
    for (const { script: id, text } of logs ?? []) {
      const { counts } = this.#script(id).stored;
      counts.logs.push({ at, text });
      if (counts.logs.length > LOGS_COUNT) counts.logs.shift();
    }
  }

  /** The sandbox had to be killed while this script ran. True if it is not run any more. */
  countKill(id: string): boolean {
    const script = this.#script(id);
    script.stored.kills++;
    script.stored.lastError = "the sandbox had to be killed while this script ran: it did not end, or took all memory";
    this.#store.write(script.stored);
    return isQuarantined(script.stored);
  }

  statuses(): ScriptStatus[] {
    return [...this.#scripts.values()].map(({ stored, failures }) => {
      const { bundle, script, errors, kills, lastError, counts } = stored;
      return {
        ...{ id: script, bundle, errors, kills, lastError, ...counts },
        quarantined: isQuarantined(stored),
        failures: [...failures.values()].reverse().map(({ firstAt, lastAt, sample, ...failure }) => ({
          ...failure,
          firstAt: new Date(firstAt).toISOString(),
          lastAt: new Date(lastAt).toISOString(),
          sample: JSON.parse(sample) as Event,
        })),
      };
    });
  }

  write(): void {
    for (const [id, script] of this.#scripts) {
      if (!script.dirty) continue;
      const { bundle } = script.stored;
      this.#store.write(script.stored);
      for (const message of script.evicted) this.#store.deleteFailure(bundle, id, message);
      for (const message of script.unwritten) {
        const failure = script.failures.get(message);
        if (failure !== undefined) this.#store.writeFailure(bundle, id, failure);
      }
    }
  }

  written(): void {
    for (const script of this.#scripts.values()) {
      script.dirty = false;
      script.unwritten.clear();
      script.evicted.clear();
    }
  }

  #countError(batch: LaneBatch, { script: id, message: text, count, index, stack }: ScriptError, now: number): void {
    const script = this.#script(id);
    const message = text.slice(0, MESSAGE_MAX_CHARS);
    script.stored.errors += count;
    script.stored.lastError = message;
    const known = script.failures.get(message);
    const failure = known ?? {
      ...{ message, count: 0, stack: stack ?? [], firstAt: now, lastAt: now },
      sample: sampleOf(batch, index),
    };
    failure.count += count;
    failure.lastAt = now;
    // Put in anew, so that the map is in the order of the latest.
    script.failures.delete(message);
    script.failures.set(message, failure);
    script.unwritten.add(message);
    script.evicted.delete(message);
    const [oldest] = script.failures.keys();
    if (script.failures.size <= FAILURES_COUNT || oldest === undefined) return;
    script.failures.delete(oldest);
    script.evicted.add(oldest);
  }

  /** To be changed. */
  #script(id: string): Script {
    let script = this.#scripts.get(id);
    if (script === undefined) {
      const rest = { errors: 0, kills: 0, lastError: null, counts: noCounts() };
      script = blank({ bundle: this.#bundle ?? "", script: id, ...rest });
      this.#scripts.set(id, script);
    }
    script.dirty = true;
    return script;
  }
}

function blank(stored: StoredScript): Script {
  return { dirty: false, stored, failures: new Map(), unwritten: new Set(), evicted: new Set() };
}

function isQuarantined({ kills }: StoredScript): boolean {
  return kills >= KILLS_BEFORE_QUARANTINE;
}

export function sumOf(a: readonly number[], b: readonly number[]): number[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) + (b[i] ?? 0));
}

/** The event as JSON; a large one without what the client put into it. */
function sampleOf({ events }: LaneBatch, index: number): string {
  const line = sliceLines(events, lineStarts(events), index, index + 1);
  const text = new TextDecoder().decode(line);
  if (line.length <= SAMPLE_MAX_BYTES) return text;
  const { $set: _set, $set_once: _setOnce, ...event } = JSON.parse(text) as Event;
  return JSON.stringify({ ...event, properties: {} });
}
