import { expect, it } from "vitest";
import type { Bundle } from "../../shared/snapshot.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { chainOf } from "../transform/testing/chain-of.ts";
import { type Preview, preview } from "./preview.ts";

const BUNDLE: Bundle = { hash: "00", team: "acme", scripts: [], filters: {}, modules: {} };

/** A sandbox's answers, from a chain in this process; `sizes`: the bytes of each batch. */
async function previewed(code: string, shaper: string, events: object[]): Promise<{ whole: Preview; sizes: number[] }> {
  const sizes: number[] = [];
  const chain = chainOf({
    scripts: [code],
    shapers: { hook: shaper },
    limits: { outputChars: 500_000, batchSteps: 1_000_000 },
  });
  const answer: typeof fetch = async (_, init) => {
    const text = new TextDecoder().decode(init?.body as Uint8Array);
    sizes.push(text.length);
    const { result, lines } = await chain.run(text);
    return new Response([JSON.stringify(result), ...lines].join("\n"));
  };
  const given = events.map((event) => anEvent(event));
  const outcome = await preview({ sandbox: { fetch: answer }, open: async () => "" }, BUNDLE, given, ["hook", "all"]);
  if (outcome.outcome !== "previewed") throw new Error(outcome.outcome);
  return { whole: outcome.preview, sizes };
}

it("cuts batches as the pump does, by count and by bytes, and counts what scripts did over all of them", async () => {
  const code =
    "ctx.log('hi'); if (event.properties.n % 100 === 7) throw new Error('seven'); return event.properties.n === 8 ? null : event;";
  const events = Array.from({ length: 1_100 }, (_, n) => ({
    properties: { n, fill: "x".repeat(n < 40 ? 100_000 : 0) },
  }));
  const { whole, sizes } = await previewed(code, "return { body: event.properties.n };", events);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000_000);
  expect(sizes.length).toBeGreaterThan(6);
  expect(whole.dropped).toEqual([8]);
  expect(whole.sources).toEqual(events.map((_, n) => n).filter((n) => n !== 8));
  expect(whole.errors).toEqual([expect.objectContaining({ script: "s0", count: 11, index: 7 })]);
  expect(whole.use).toEqual([
    expect.objectContaining({ script: "s0", events: 1_100, dropped: 1, errors: 11 }),
    expect.objectContaining({ script: "destination:hook", events: 1_099 }),
  ]);
  expect(whole.logs.length).toBe(100);
  expect(whole.destinations.all?.length).toBe(1_099);
  const bodies = whole.destinations.hook?.map((line) => (line as { $request: { body: number } }).$request.body);
  expect(bodies).toEqual(whole.sources);
});
