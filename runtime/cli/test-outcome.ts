import { type ConfigChange, diffConfig } from "../../workers/console/config-diff.ts";
import type { Preview } from "../../workers/console/preview.ts";

/** What `<name>.expected.json` holds: what became of a fixture's events. Empty parts are left out. */
export interface TestOutcome {
  /** What went on to the destinations, in order. */
  events: unknown[];
  /** Positions of events that a script dropped. */
  dropped?: number[];
  quarantined?: { index: number; script: string; message: string }[];
  errors?: { script: string; message: string; count: number }[];
  /** By destination id, for those with a filter or a script of their own: what would be sent there. */
  destinations?: Record<string, unknown[]>;
}

/** `special`: destinations with a filter or a script; the others get `events`. */
export function outcomeOf(preview: Preview, special: readonly string[]): TestOutcome {
  const { events, dropped, quarantined } = preview;
  const errors = preview.errors.map(({ script, message, count }) => ({ script, message, count }));
  return {
    events,
    ...(dropped.length === 0 ? {} : { dropped }),
    ...(quarantined.length === 0 ? {} : { quarantined }),
    ...(errors.length === 0 ? {} : { errors }),
    ...(special.length === 0
      ? {}
      : { destinations: Object.fromEntries(special.map((id) => [id, preview.destinations[id] ?? []])) }),
  };
}

/**
 * What differs from what was expected: nothing where the test passes. A list stands for an outcome that is its events only; a part that
 * is empty is as good as none.
 */
export function differences(expected: unknown, outcome: TestOutcome): ConfigChange[] {
  const wanted = Array.isArray(expected) ? { events: expected } : withoutEmptyParts(expected);
  return diffValues(wanted, JSON.parse(JSON.stringify(outcome)), "");
}

function withoutEmptyParts(expected: unknown): unknown {
  const parts = asObject(expected);
  if (parts === null) return expected;
  const isEmpty = (part: unknown) => Array.isArray(part) && part.length === 0;
  return Object.fromEntries(Object.entries(parts).filter(([name, part]) => name === "events" || !isEmpty(part)));
}

/** Lists are compared by position, whatever they hold. */
function diffValues(before: unknown, after: unknown, path: string): ConfigChange[] {
  if (!Array.isArray(before) || !Array.isArray(after)) {
    const [left, right] = [before, after].map(asObject);
    if (left === null || right === null || left === undefined || right === undefined)
      return diffConfig(before, after, path);
    return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((key) =>
      diffValues(left[key], right[key], path === "" ? key : `${path}.${key}`),
    );
  }
  return Array.from({ length: Math.max(before.length, after.length) }, (_, i) =>
    diffValues(before[i], after[i], `${path}[${i}]`),
  ).flat();
}

function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
