/** The main module of an isolate: takes away what scripts must not have, then loads and runs them. */
import { abortIsolate, WorkerEntrypoint } from "cloudflare:workers";
import bundle from "headwater:bundle";
import type { BatchSkips } from "../isolate-api.ts";
import { Chain } from "./chain.ts";
import type { ShapeOutput, Skips, StepOutput } from "./chain-types.ts";
import { drain, emptiedAt, level, refill } from "./fuel-tank.ts";
import { lockDown, pinIntrinsics } from "./lockdown.ts";

const { team, scripts, shapers, filters, credentials } = bundle;
const { stringify } = JSON;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
// Held before scripts lose it: a task runs after every microtask that is due.
const later = globalThis.setTimeout;

const chain = new Chain({
  team,
  scripts: scripts.map((script) => ({ ...script, ...sourceOf(script) })),
  shapers: Object.entries(shapers).map(([destination, script]) => ({ ...script, ...sourceOf(script), destination })),
  filters,
  tank: { refill, drain, level, emptiedAt },
  idle: () => new Promise((resolve) => later(resolve, 0)),
  now: Date.now,
});

function sourceOf({ id, module }: { id: string; module: string }) {
  // A plain name: a template would have the bundler look for files that match it.
  const specifier = "./".concat(module);
  return { credentials: credentials[id] ?? {}, load: () => import(specifier) };
}

// Scripts written elsewhere use it; the runtime's own would print payloads into the operator's log.
const { log } = chain;
Object.defineProperty(globalThis, "console", { value: { log, debug: log, info: log, warn: log, error: log } });
lockDown(globalThis);
pinIntrinsics(globalThis);

export default class Harness extends WorkerEntrypoint {
  /** Resolves once the isolate has started: every module has parsed, no script has run. */
  check(): boolean {
    return true;
  }

  /** NDJSON in; out: the RunResult line, then the events, then the destinations' own lines. */
  async run(events: Uint8Array, skips: BatchSkips, only: string | null): Promise<Uint8Array> {
    const { result, lines } = await chain.run(decoder.decode(events), asSkips(skips), only);
    // In workerd a text that grows is encoded twice as fast as one that is joined first.
    let text = stringify(result);
    for (let i = 0; i < lines.length; i++) text += `\n${lines[i]}`;
    return encoder.encode(text);
  }

  step(script: number, index: number, lines: string[], mark: boolean): Promise<StepOutput> {
    return chain.step(script, index, lines, mark);
  }

  shape(shaper: number, index: number, lines: string[], mark: boolean, room: number): Promise<ShapeOutput> {
    return chain.shape(shaper, index, lines, mark, room);
  }

  match(lines: string[]): Record<string, number[]> {
    return chain.match(lines);
  }

  /** Ends this isolate, so that the loader lets go of it. */
  drop(): void {
    abortIsolate("dropped to make room");
  }
}

function asSkips({ scripts, events }: BatchSkips): Skips {
  const byIndex = new Map<number, Set<string>>();
  for (const [index, id] of events) byIndex.set(index, (byIndex.get(index) ?? new Set()).add(id));
  return { scripts: new Set(scripts), events: byIndex };
}
