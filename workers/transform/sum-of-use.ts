import type { ScriptUse } from "../../shared/sandbox-api.ts";

/** What one script used over two batches. */
export function sumOfUse(earlier: ScriptUse | undefined, use: ScriptUse): ScriptUse {
  if (earlier === undefined) return use;
  const length = Math.max(earlier.histogram.length, use.histogram.length);
  return {
    script: use.script,
    events: earlier.events + use.events,
    dropped: earlier.dropped + use.dropped,
    errors: earlier.errors + use.errors,
    steps: earlier.steps + use.steps,
    histogram: Array.from({ length }, (_, i) => (earlier.histogram[i] ?? 0) + (use.histogram[i] ?? 0)),
  };
}
