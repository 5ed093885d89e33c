import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import type { Filter } from "../../shared/filter.ts";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import type { RunResult } from "../../shared/sandbox-api.ts";
import type { Bundle, BundleScript } from "../../shared/snapshot.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { runCarefully } from "./careful.ts";
import { type Chain, DEFAULT_CHAIN_LIMITS } from "./isolate/chain.ts";
import type { BatchSkips, IsolateApi } from "./isolate-api.ts";
import { chainOf } from "./testing/chain-of.ts";

/** Bodies of `transform`: what scripts do to events, well or badly. */
const BODIES = [
  "event.properties.seen = (event.properties.seen ?? 0) + 1; return event;",
  "return event.event === 'a' ? null : event;",
  "return event.event === 'b' ? [event, { ...event, event: 'a' }, null, { ...event, event: 'c' }] : event;",
  "if (event.event === 'c') throw new Error('no c'); return event;",
  "if (event.properties.n % 3 === 0) throw new Error('n is ' + event.properties.n); return event;",
  "ctx.log(event.event, event.properties.n); return event;",
  "if (event.event === 'd') for (;;); return event;",
  "event.source = event.event === 'a' ? 'web' : 'app'; return event;",
  "return event.event === 'd' ? 7 : event;",
];
const SHAPES = [
  ...BODIES,
  "return { body: { n: event.properties.n } };",
  "return [{ url: 'https://example.com/' + event.event }, event];",
];
const FILTERS: (Filter | undefined)[] = [
  undefined,
  { event: { in: ["a", "b"] } },
  { property: "$transformations_failed", exists: false },
];
const DESTINATIONS = ["plain", "own", "other"];

interface Spec {
  scripts: { id: string; body: string; batch: boolean; on_error: BundleScript["on_error"]; source?: string }[];
  shapers: Record<string, { body: string; batch: boolean; on_error: "dead_letter" | "pass" | "drop" }>;
  filters: Record<string, Filter>;
}

const codeOf = ({ body, batch }: { body: string; batch: boolean }) =>
  batch ? { batch: `return events.map((event) => { ${body} });` } : body;

function chainFor(spec: Spec): Chain {
  const scripts = spec.scripts.map(({ body, batch, ...rest }) => ({ ...rest, code: codeOf({ body, batch }) }));
  const shapers = Object.fromEntries(
    Object.entries(spec.shapers).map(([id, { on_error, ...code }]) => [id, { on_error, code: codeOf(code) }]),
  );
  return chainOf({
    scripts,
    shapers,
    filters: spec.filters,
    limits: { batchSteps: 1_000_000, outputChars: DEFAULT_CHAIN_LIMITS.outputChars },
  });
}

interface Answer {
  result: RunResult;
  lines: string[];
}

async function normally(spec: Spec, events: readonly Event[], skips: BatchSkips): Promise<Answer> {
  const byIndex = new Map<number, Set<string>>();
  for (const [index, id] of skips.events) byIndex.set(index, (byIndex.get(index) ?? new Set()).add(id));
  const text = events.map((event) => JSON.stringify(event)).join("\n");
  return chainFor(spec).run(text, { scripts: new Set(skips.scripts), events: byIndex });
}

async function carefully(spec: Spec, events: readonly Event[], skips: BatchSkips): Promise<Answer> {
  const chain = chainFor(spec);
  const written: Uint8Array[] = [];
  const body = { write: async (bytes: Uint8Array) => void written.push(bytes) };
  const script = (id: string) => ({ id, module: `${id}.js`, inputs: {} });
  const bundle: Bundle = {
    ...{ hash: "00", team: "acme", modules: {}, filters: spec.filters },
    scripts: spec.scripts.map(({ id, on_error, source }) => ({
      ...{ ...script(id), on_error },
      ...(source === undefined ? {} : { source }),
    })),
    shapers: Object.fromEntries(
      Object.entries(spec.shapers).map(([id, { on_error }]) => [id, { ...script(`destination:${id}`), on_error }]),
    ),
  };
  await runCarefully({
    ...{ bundle, skips, only: null, now: () => 0, flush: async () => undefined, within: (work) => work },
    isolate: chain as unknown as IsolateApi,
    events: encodeLines(events.map((event) => JSON.stringify(event))),
    body: body as unknown as WritableStreamDefaultWriter<Uint8Array>,
  });
  const [head, ...lines] = decodeLines(written.at(-1) as Uint8Array);
  return { result: JSON.parse(head as string) as RunResult, lines };
}

/** What one answer says, whether it lists or leaves out what is empty. */
function told({ result, lines }: Answer) {
  const { quarantined = [], own = {}, errors, logs = [], use = [], ...rest } = result;
  return { ...rest, quarantined, own, errors: sortedBy(errors), logs: logs.map(logText).toSorted(), use, lines };
}

/** Scripts take turns over the lines of an event, or the lines over the scripts: what is said is the same. */
const logText = (log: object) => JSON.stringify(log);

function sortedBy(errors: RunResult["errors"]): RunResult["errors"] {
  return errors.toSorted((a, b) => a.index - b.index || (a.script + a.message < b.script + b.message ? -1 : 1));
}

/**
 * Where one of several lines of an event sends it to the quarantine, what the other lines have met by then, and which of two scripts
 * is first to do so, depends on the way: script by script, line by line, or all in one call. What comes of it does not.
 */
function comparable(answer: Answer) {
  const { use, errors, logs, ...rest } = told(answer);
  if (rest.quarantined.length === 0) return { ...rest, use, errors, logs };
  return { ...rest, quarantined: rest.quarantined.map(({ index }) => index) };
}

/** Several lines of one event are one call, or several. */
function withoutSteps(answer: Answer) {
  const { use = [], ...rest } = comparable(answer) as Partial<ReturnType<typeof told>>;
  return { ...rest, use: use.map(({ steps: _steps, histogram: _histogram, ...counts }) => counts) };
}

const policy = fc.constantFrom("pass", "drop", "quarantine");
const script = fc.record({
  body: fc.constantFrom(...BODIES),
  on_error: policy,
  source: fc.option(fc.constantFrom("web", "app"), { nil: undefined, freq: 4 }),
});
const shaper = fc.record({
  body: fc.constantFrom(...SHAPES),
  on_error: fc.constantFrom("dead_letter", "pass", "drop"),
});
const events = fc.array(
  fc.record({
    event: fc.constantFrom("a", "b", "c", "d"),
    source: fc.constantFrom("web", "app"),
    restricted: fc.nat(9),
  }),
  { minLength: 1, maxLength: 6 },
);

const specs = fc.record({
  scripts: fc.array(script, { maxLength: 4 }),
  own: fc.option(shaper, { nil: undefined }),
  other: fc.option(shaper, { nil: undefined }),
  filters: fc.tuple(...DESTINATIONS.map(() => fc.constantFrom(...FILTERS))),
  batch: fc.boolean(),
});

function specOf({ scripts, own, other, filters, batch }: typeof specs extends fc.Arbitrary<infer T> ? T : never): Spec {
  return {
    scripts: scripts.map(({ source, ...rest }, i) => ({
      ...{ ...rest, id: `s${i}`, batch },
      ...(source === undefined ? {} : { source }),
    })) as Spec["scripts"],
    shapers: Object.fromEntries(
      Object.entries({ own, other }).flatMap(([id, each]) => (each === undefined ? [] : [[id, { ...each, batch }]])),
    ) as Spec["shapers"],
    filters: Object.fromEntries(
      DESTINATIONS.flatMap((id, i) => (filters[i] === undefined ? [] : [[id, filters[i] as Filter]])),
    ),
  };
}

describe("careful mode (invariant 5)", () => {
  it("gives what a batch gives, by event and by batches of one, whatever is skipped", async () => {
    const skipped = fc.record({
      scripts: fc.subarray(["s0", "s1", "destination:own"], { maxLength: 1 }),
      events: fc.array(fc.tuple(fc.nat(5), fc.constantFrom("s0", "s1", "s2", "destination:own", "destination:other")), {
        maxLength: 2,
      }) as fc.Arbitrary<BatchSkips["events"]>,
    });
    await fc.assert(
      fc.asyncProperty(specs, events, skipped, async (drawn, names, skips) => {
        const spec = specOf(drawn);
        const given = names.map(({ event, source, restricted }, n) => ({
          ...anEvent({ event, source, properties: { n } }),
          ...(restricted === 0 ? { quarantine: "restricted" } : {}),
        })) as Event[];
        if (drawn.batch) {
          // How many come together is the traffic's choice: alone, each has to become the same.
          for (const [index, event] of given.entries()) {
            const own = {
              ...skips,
              events: skips.events.filter(([at]) => at === index).map(([, id]) => [0, id] as [number, string]),
            };
            const [careful, normal] = [await carefully(spec, [event], own), await normally(spec, [event], own)];
            expect(withoutSteps(careful)).toEqual(withoutSteps(normal));
          }
        } else {
          expect(comparable(await carefully(spec, given, skips))).toEqual(
            comparable(await normally(spec, given, skips)),
          );
        }
      }),
      { numRuns: 150 },
    );
  });
});
