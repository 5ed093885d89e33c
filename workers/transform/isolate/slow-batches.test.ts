import { describe, expect, it } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { Chain } from "./chain.ts";
import { drain, emptiedAt, level, refill } from "./fuel-tank.ts";

const COUNT = 1_000;
const BATCH_COUNT = 500;
/** Milliseconds of one event in a whole batch, which takes longer than a batch may, and by itself. */
const TOGETHER_MS = 0.6;
const ALONE_MS = 0.01;

/** How many of the events each run took, by a clock that only scripts move. */
async function runsOf(kinds: readonly string[], shaper?: string): Promise<number[]> {
  let now = 0;
  const load = (kind: string) => async () => {
    if (kind === "alone") return { transform: spend };
    return { transformBatch: kind === "failing" ? failing : (events: object[]) => events.map(spendTogether) };
  };
  const spend = (event: object) => {
    now += ALONE_MS;
    return event;
  };
  const spendTogether = (event: object) => {
    now += TOGETHER_MS;
    return event;
  };
  const failing = (events: object[]) => {
    if (events.length === 1) return events.map(spend);
    events.map(spendTogether);
    throw new Error("too many");
  };
  const script = (kind: string, id: string) => ({ id, module: `${id}.js`, inputs: {}, load: load(kind) });
  const chain = new Chain({
    ...{ team: "acme", filters: {}, tank: { refill, drain, level, emptiedAt }, now: () => now, idle: async () => {} },
    scripts: kinds.map((kind, i) => ({ ...script(kind, `s${i}`), on_error: "pass" as const })),
    shapers:
      shaper === undefined ? [] : [{ ...script(shaper, "hook"), destination: "hook", on_error: "pass" as const }],
  });
  const lines = Array.from({ length: COUNT }, (_, n) => JSON.stringify(anEvent({ properties: { n } })));
  const runs: number[] = [];
  for (let from = 0; from < COUNT && runs.length < COUNT / 10; from += runs.at(-1) as number) {
    const batch = lines.slice(from, from + BATCH_COUNT);
    const { result } = await chain.run(batch.join("\n"));
    runs.push(result.ran ?? batch.length);
  }
  return runs;
}

describe("a transformBatch that takes longer than a batch may", () => {
  it.each([
    ["alone in its chain", ["together"], undefined],
    ["before another script", ["together", "alone"], undefined],
    ["behind another script", ["alone", "together"], undefined],
    ["before another one of its kind", ["together", "together"], undefined],
    ["before a destination's script", ["together"], "alone"],
    ["where it fails, and is called event by event", ["failing"], undefined],
  ])(
    "keeps what it has done, %s: it went on event by event, each at the price of a batch",
    async (_, kinds, shaper) => {
      expect(await runsOf(kinds, shaper)).toEqual([BATCH_COUNT, BATCH_COUNT]);
    },
  );
});
