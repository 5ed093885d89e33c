/** The main module of an isolate: takes away what scripts must not have, then loads and runs them. */
import { abortIsolate, WorkerEntrypoint } from "cloudflare:workers";
import bundle from "headwater:bundle";
import type { BatchSkips } from "../isolate-api.ts";
import { Chain, type Skips, type StepOutput } from "./chain.ts";
import { drain, emptiedAt, refill } from "./fuel-tank.ts";
import { lockDown, pinIntrinsics } from "./lockdown.ts";

const { team, scripts, filters } = bundle;
const { stringify } = JSON;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const chain = new Chain({
  team,
  scripts: scripts.map(({ id, module, inputs }) => {
    // A plain name: a template would have the bundler look for files that match it.
    const specifier = "./".concat(module);
    return { id, module, inputs, load: () => import(specifier) };
  }),
  filters,
  tank: { refill, drain, emptiedAt },
});

lockDown(globalThis);
pinIntrinsics();
// Scripts written elsewhere use it; the runtime's own would print payloads into the operator's log.
const { log } = chain;
Object.defineProperty(globalThis, "console", { value: { log, debug: log, info: log, warn: log, error: log } });

export default class Harness extends WorkerEntrypoint {
  /** Resolves once the isolate has started: every module has parsed, no script has run. */
  check(): boolean {
    return true;
  }

  /** NDJSON in; out: the RunResult line, then the events. */
  async run(events: Uint8Array, skips: BatchSkips): Promise<Uint8Array> {
    const { result, lines } = await chain.run(decoder.decode(events), asSkips(skips));
    return encoder.encode(stringify(result) + lines);
  }

  step(script: number, index: number, lines: string[], mark: boolean): Promise<StepOutput> {
    return chain.step(script, index, lines, mark);
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
