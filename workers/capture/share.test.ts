import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import { expandRuns } from "../../shared/runs.ts";
import type { RunResult } from "../../shared/sandbox-api.ts";
import { newEvents } from "../deliver/new-events.ts";
import { expiredShare, Shares, shareOf, type Transformed } from "./share.ts";

const AFTER = 40;

/** What became of one event: withheld, or the lines that the chain made of it, each with what became of it at a destination. */
const line = fc.record({
  isTaken: fc.boolean(),
  /** What the destination's own script makes of it; null drops. */
  own: fc.option(
    fc.array(
      fc.boolean().map((isDead) => ({ isDead })),
      { minLength: 1, maxLength: 3 },
    ),
  ),
});
const input = fc.oneof(
  { weight: 5, arbitrary: fc.record({ lines: fc.array(line, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.constant({ withheld: "left out" as const }) },
  { weight: 1, arbitrary: fc.constant({ withheld: "dead" as const }) },
);
type Input = typeof input extends fc.Arbitrary<infer T> ? T : never;

const linesOf = (one: Input) => ("lines" in one ? one.lines : []);

/** A run as the sandbox answers it: `hook` has a filter, `own` a filter and a script, `first` a script alone, and `all` neither. */
function transformedOf(inputs: Input[]) {
  const lines = inputs.flatMap((one, index) =>
    linesOf(one).map((made, i) => ({ ...made, index, text: `${index}.${i}` })),
  );
  const taken = lines.flatMap(({ isTaken }, i) => (isTaken ? [i] : []));
  const share = (among: number[]) => {
    const results = among.flatMap((i) => (lines[i]?.own ?? []).map(({ isDead }, part) => ({ i, isDead, part })));
    return {
      texts: results.map(({ i, part }) => `${lines[i]?.text}>${part}`),
      result: {
        count: results.length,
        sources: results.map(({ i }) => i),
        dropped: among.filter((i) => lines[i]?.own === null),
        dead: results.flatMap(({ isDead }, at) => (isDead ? [{ line: at, message: "failed" }] : [])),
      },
    };
  };
  const [first, own] = [share(lines.map((_, i) => i)), share(taken)];
  const result: RunResult = {
    sources: lines.map(({ index }) => index),
    dropped: inputs.flatMap((one, index) => ("lines" in one && one.lines.length === 0 ? [index] : [])),
    matches: { hook: taken, own: taken },
    own: { first: first.result, own: own.result },
    errors: [],
  };
  const events = encodeLines([...lines.map(({ text }) => text), ...first.texts, ...own.texts]);
  const transformed: Transformed = {
    batch: {
      ...{ after: AFTER, through: AFTER + inputs.length },
      events: encodeLines(inputs.map((_, index) => `raw ${index}`)),
      tokens: inputs.map((_, index) => [`t${index}`, 1]),
    },
    run: { result, events },
  };
  const withheld = new Map(
    inputs.flatMap((one, index) =>
      "withheld" in one ? [[AFTER + 1 + index, one.withheld === "dead" ? "full" : null] as const] : [],
    ),
  );
  return { transformed, withheld };
}

describe("Shares", () => {
  it("puts every line of every seq into exactly one place at each destination (invariant 5)", () => {
    fc.assert(
      fc.property(fc.array(input, { minLength: 1, maxLength: 12 }), (inputs) => {
        const { transformed, withheld } = transformedOf(inputs);
        const shares = new Shares(transformed, withheld);
        for (const destination of ["all", "hook", "first", "own"]) {
          const share = shares.of(destination);
          expect(shareOf(transformed, destination, withheld)).toEqual(share);
          const [isFiltered, isShaped] = [
            ["hook", "own"].includes(destination),
            ["first", "own"].includes(destination),
          ];
          const expected: { text: string; index: number; dead?: string }[] = [];
          const [dropped, filtered]: [number[], number[]] = [[], []];
          for (const [index, one] of inputs.entries()) {
            if ("withheld" in one && one.withheld === "dead")
              expected.push({ text: `raw ${index}`, index, dead: "full" });
            if ("lines" in one && one.lines.length === 0) dropped.push(index);
            for (const [i, made] of linesOf(one).entries()) {
              if (isFiltered && !made.isTaken) filtered.push(index);
              else if (!isShaped) expected.push({ text: `${index}.${i}`, index });
              else if (made.own === null) dropped.push(index);
              else {
                for (const [part, { isDead }] of made.own.entries())
                  expected.push({
                    text: `${index}.${i}>${part}`,
                    index,
                    ...(isDead ? { dead: "the destination's script failed: failed" } : {}),
                  });
              }
            }
          }
          const seqOf = (index: number) => AFTER + 1 + index;
          expect(decodeLines(share.events)).toEqual(expected.map(({ text }) => text));
          expect(share.seqs).toEqual(expected.map(({ index }) => seqOf(index)));
          expect(expandRuns(share.tokens)).toEqual(expected.map(({ index }) => `t${index}`));
          expect(share.dead ?? []).toEqual(
            expected.flatMap(({ dead: reason }, at) => (reason === undefined ? [] : [{ line: at, reason }])),
          );
          expect(share.dropped.toSorted((a, b) => a - b)).toEqual(dropped.map(seqOf));
          expect(share.filtered).toEqual(filtered.map(seqOf));
          expect(share.shaped).toBe(isShaped ? true : undefined);
          // The outbox's arithmetic: what came in, and what scripts added, is what it books.
          const taken = newEvents({ team: "acme", destination, lane: "l", ...share }, AFTER);
          const seqs = inputs.filter((one) => !("withheld" in one && one.withheld === "left out")).length;
          expect(taken.count + taken.dropped + taken.filtered).toBe(seqs + taken.emitted);
        }
      }),
    );
  });

  it("passes a batch on as it is where nothing changed it", () => {
    const events = encodeLines(["a", "b"]);
    const batch = { after: 0, through: 2, events, tokens: [["t", 2]] as [string, number][] };
    const result: RunResult = { sources: null, dropped: [], matches: { hook: [1] }, errors: [] };
    expect(shareOf({ batch, run: null }, "all")).toMatchObject({ events, seqs: null });
    const run = { result, events: encodeLines(["A", "B"]) };
    expect(shareOf({ batch, run }, "all").events).toBe(run.events);
    const own = { hook: { count: 1, sources: [1], dropped: [], dead: [] } };
    const shaped = { result: { ...result, own }, events: encodeLines(["A", "B", "own"]) };
    expect(decodeLines(shareOf({ batch, run: shaped }, "all").events)).toEqual(["A", "B"]);
    expect(shareOf({ batch, run: shaped }, "hook")).toMatchObject({ seqs: [2], filtered: [1], dropped: [] });
  });
});

it("of what the log has lost, only what was never withheld is expired, or had no room in the quarantine", () => {
  const withheld = (through: number) =>
    new Map([[5, null], [6, "full"], ...(through < 8 ? [[99, null] as const] : [])] as const);
  expect(expiredShare(4, 7, withheld)).toMatchObject({ after: 4, through: 7, seqs: [], expired: [6, 7] });
});
