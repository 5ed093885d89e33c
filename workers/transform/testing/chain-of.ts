import type { Event } from "../../../shared/event.ts";
import type { Filter } from "../../../shared/filter.ts";
import type { RunResult } from "../../../shared/sandbox-api.ts";
import { injectFuel } from "../fuel.ts";
import { Chain } from "../isolate/chain.ts";
import type { ChainLimits, ChainScript, ChainShaper, Skips } from "../isolate/chain-types.ts";
import { drain, emptiedAt, level, refill } from "../isolate/fuel-tank.ts";
import { evaluate } from "./evaluate.ts";

/** Small, so that tests reach them. */
export const TEST_LIMITS: ChainLimits = {
  eventSteps: 1_000,
  batchSteps: 10_000,
  loadSteps: 1_000,
  outputs: 5,
  outputChars: 100_000,
};

/** A whole module, or the body of `transform(event, ctx)`; `batch`: the body of `transformBatch(events, ctx)`. */
export type Code = string | { batch: string };

interface ScriptSpec extends Partial<Omit<ChainScript, "load" | "on_error">> {
  code: Code;
  on_error?: ChainScript["on_error"];
}

interface ShaperSpec extends Partial<Omit<ChainShaper, "load">> {
  code: Code;
}

export interface ChainSpec {
  /** Ids are s0, s1, …; the policy is `pass`. */
  scripts?: readonly (Code | ScriptSpec)[];
  /** By destination; the policy is `dead_letter`. */
  shapers?: Record<string, Code | ShaperSpec>;
  filters?: Record<string, Filter>;
  limits?: Partial<ChainLimits>;
}

/** A chain of scripts that are instrumented, and run in this process. */
export function chainOf({ scripts = [], shapers = {}, filters = {}, limits = {} }: ChainSpec): Chain {
  return new Chain({
    team: "acme",
    scripts: scripts.map((spec, i) => {
      const { code, ...rest } = isCode(spec) ? { code: spec } : spec;
      const module = `script-${i}.js`;
      return { id: `s${i}`, module, on_error: "pass" as const, inputs: {}, ...rest, load: loaderOf(code) };
    }),
    shapers: Object.entries(shapers).map(([destination, spec]) => {
      const { code, ...rest } = isCode(spec) ? { code: spec } : spec;
      const id = `destination:${destination}`;
      const module = `shaper-${destination}.js`;
      return { id, destination, module, on_error: "dead_letter" as const, inputs: {}, ...rest, load: loaderOf(code) };
    }),
    filters,
    tank: { refill, drain, level, emptiedAt },
    limits: { ...TEST_LIMITS, ...limits },
  });
}

function isCode(spec: Code | ScriptSpec | ShaperSpec): spec is Code {
  return typeof spec === "string" || "batch" in spec;
}

function loaderOf(code: Code): () => Promise<Record<string, unknown>> {
  const source = moduleOf(code);
  const name = source.includes("transformBatch") ? "transformBatch" : "transform";
  const injected = injectFuel(source);
  return async () => evaluate(injected, name);
}

function moduleOf(code: Code): string {
  if (typeof code !== "string") return `export function transformBatch(events, ctx) {\n${code.batch}\n}`;
  return code.includes("export ") ? code : `export function transform(event, ctx) {\n${code}\n}`;
}

export interface ChainRun {
  result: RunResult;
  events: Event[];
  /** By destination: its own lines. */
  own: Record<string, unknown[]>;
}

/** Runs events through a chain; takes what it answers apart. */
export async function runChain(chain: Chain, events: readonly unknown[], skips?: Skips): Promise<ChainRun> {
  const { result, lines } = await chain.run(events.map((event) => JSON.stringify(event)).join("\n"), skips);
  const parsed = lines.map((line) => JSON.parse(line) as Event);
  const shares = Object.entries(result.own ?? {});
  const mine = shares.reduce((count, [, share]) => count - share.count, parsed.length);
  const own: Record<string, unknown[]> = {};
  let start = mine;
  for (const [destination, { count }] of shares) {
    own[destination] = parsed.slice(start, start + count);
    start += count;
  }
  return { result, events: parsed.slice(0, mine), own };
}
