import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { type ChainSpec, type Code, chainOf, runChain } from "../testing/chain-of.ts";
import { OutputError } from "./output.ts";
import { pairBatch } from "./pair-batch.ts";

const uuidOf = (i: number) => `01890a5d-ac96-774b-bcce-${String(i).padStart(12, "0")}`;
const eventsOf = (names: string) => [...names].map((event, i) => anEvent({ event, uuid: uuidOf(i) }));

/** A script that takes batches, over events named by single letters. */
async function run(body: string, names: string, spec: ChainSpec = {}) {
  const chain = chainOf({ ...spec, scripts: [{ batch: body }, ...(spec.scripts ?? [])] });
  const { result, events } = await runChain(chain, eventsOf(names));
  return { result, events, names: events.map(({ event }) => event).join("") };
}

describe("transformBatch", () => {
  it("is called once with all events", async () => {
    const { names, result } = await run("ctx.log(events.length, ctx.team, ctx.geo); return events;", "abc");
    expect(names).toBe("abc");
    expect(result).toMatchObject({ sources: null, dropped: [], errors: [] });
    expect(result.logs).toEqual([{ script: "s0", index: 0, text: "3 acme undefined" }]);
    expect(result.use).toMatchObject([{ script: "s0", events: 3, dropped: 0, errors: 0 }]);
  });

  it("drops what it returns null for, or leaves out", async () => {
    const nulls = await run("return events.map((event) => (event.event === 'b' ? null : event));", "abc");
    const left = await run("return events.filter((event) => event.event !== 'b');", "abc");
    for (const { names, result } of [nulls, left]) {
      expect(names).toBe("ac");
      expect(result).toMatchObject({ sources: [0, 2], dropped: [1], errors: [] });
      expect(result.use).toMatchObject([{ events: 3, dropped: 1 }]);
    }
  });

  it("drops all of a batch that it returns nothing of", async () => {
    expect((await run("return [];", "ab")).result).toMatchObject({ sources: [], dropped: [0, 1], errors: [] });
  });

  it("may sort: the events keep the order in which they were accepted, and what they are (invariants 3, 7)", async () => {
    const { events, names, result } = await run("events.reverse()[0].properties.first = true; return events;", "abc");
    expect(names).toBe("abc");
    expect(result.sources).toBeNull();
    expect(events.map(({ uuid }) => uuid)).toEqual([0, 1, 2].map(uuidOf));
    expect(events[2]?.properties.first).toBe(true);
  });

  it("may build new events by position, with the identity of the old ones", async () => {
    const body = "return events.map(({ event }) => ({ event: event + '!', distinct_id: 'd', properties: {} }));";
    const { events, names } = await run(body, "ab");
    expect(names).toBe("a!b!");
    expect(events.map(({ uuid }) => uuid)).toEqual([0, 1].map(uuidOf));
  });

  it("may return further events: those belong to the event whose uuid they carry, or to the one before them", async () => {
    const body =
      "return [events[0], { ...events[1], event: 'B' }, { event: 'x', distinct_id: 'd', properties: {} }, { ...events[0], event: 'A' }, events[1]];";
    const { events, names, result } = await run(body, "ab");
    expect(names).toBe("aABxb");
    expect(result).toMatchObject({ sources: [0, 0, 1, 1, 1], dropped: [] });
    expect(events.map(({ uuid }) => [0, 1].map(uuidOf).indexOf(uuid))).toEqual([0, -1, 1, -1, -1]);
    expect(new Set(events.map(({ uuid }) => uuid)).size).toBe(5);
  });

  it("may return an array for an event", async () => {
    const body = "return events.map((event) => (event.event === 'b' ? [event, { ...event, event: 'B' }] : event));";
    const { names, result } = await run(body, "abc");
    expect(names).toBe("abBc");
    expect(result.sources).toEqual([0, 1, 1, 2]);
  });

  it("gives the same event twice where it returns it twice", async () => {
    const { events, result } = await run("return [events[0], events[0]];", "a");
    expect(result.sources).toEqual([0, 0]);
    expect(events[0]).toMatchObject({ uuid: uuidOf(0) });
    expect(events[1]?.uuid).not.toBe(uuidOf(0));
  });

  it("loses to a bad event no other one", async () => {
    const body =
      "for (const event of events) { event.properties.seen = 1; if (event.event === 'b') throw new Error('no'); } return events;";
    const { events, result } = await run(body, "abc");
    expect(events.map(({ properties }) => properties)).toEqual([
      { plan: "pro", seen: 1 },
      { plan: "pro", $transformations_failed: ["s0"] },
      { plan: "pro", seen: 1 },
    ]);
    expect(result.errors).toEqual([{ script: "s0", message: expect.stringMatching(/^Error: no/), count: 1, index: 1 }]);
    expect(result.use).toMatchObject([{ events: 3, errors: 1 }]);
  });

  it("loses to an endless loop no other event, and costs twice a batch's steps at most", async () => {
    const body = "for (const event of events) if (event.event === 'b') for (;;); return events;";
    const { result, names } = await run(body, "abcdefghijklmnopqrst", { limits: { batchSteps: 4_000 } });
    expect(names).toBe("abcdefghijklmnopqrst");
    expect(result.errors).toMatchObject([{ message: expect.stringMatching(/^ran out of fuel after 1000/), count: 1 }]);
    expect(result.use?.[0]?.steps).toBeLessThan(8_000);
  });

  it("is to blame for the event that it returned badly, and for no other one", async () => {
    const body = "return events.map((event) => (event.event === 'b' ? { ...event, distinct_id: 5 } : event));";
    const { events, result } = await run(body, "abc");
    expect(events.map(({ properties }) => "$transformations_failed" in properties)).toEqual([false, true, false]);
    expect(result.errors).toMatchObject([{ message: expect.stringContaining('"distinct_id"'), index: 1 }]);
  });

  it.each([
    ["nothing", "", /^returned a undefined: transformBatch returns an array/],
    ["null", "return null;", /^returned null: transformBatch returns an array/],
    ["an event", "return events[0];", /^returned a object: transformBatch/],
    ["a promise", "return Promise.resolve(events);", /^transformBatch must be synchronous/],
    ["far too many events", "return new Array(1e6);", /^returned 1000000 events: at most 5/],
    ["far too many events in one place", "return [new Array(1e6)];", /^returned 1000000 events: at most 5/],
  ])("that returns %s has failed", async (_, body, message) => {
    const { events, result } = await run(body, "ab");
    expect(events).toHaveLength(2);
    expect(result.errors).toEqual([
      expect.objectContaining({ script: "s0", message: expect.stringMatching(message), count: 2, index: 0 }),
    ]);
  });

  it("sees and gives what the scripts beside it do, event by event or by batches", async () => {
    const chain = chainOf({
      scripts: [
        "return event.event === 'x' ? null : [event, { ...event, event: event.event + '2' }];",
        { batch: "for (const [i, event] of events.entries()) event.properties.i = i; return events;" },
        "event.properties.last = event.properties.i; return event;",
        { batch: "return events.filter((event) => event.properties.last !== 2);" },
      ],
      filters: { odd: { property: "i", eq: 1 } },
    });
    const { result, events } = await runChain(chain, eventsOf("axb"));
    expect(events.map(({ event, properties }) => [event, properties.last])).toEqual([
      ["a", 0],
      ["a2", 1],
      ["b2", 3],
    ]);
    expect(result).toMatchObject({ sources: [0, 0, 2], dropped: [1], matches: { odd: [1] } });
  });

  it("gets what the line says, where the script before it keeps one object for all events", async () => {
    const { events } = await runChain(
      chainOf({
        scripts: [
          "globalThis.kept ??= {}; Object.assign(globalThis.kept, event); return globalThis.kept;",
          { batch: "return events.map((event) => ({ ...event, event: event.event + '!' }));" },
        ],
      }),
      eventsOf("ab"),
    );
    expect(events.map(({ event }) => event)).toEqual(["a!", "b!"]);
  });

  it("gets fewer events where they become too much for one answer", async () => {
    const body = "return events.map((event) => ({ ...event, properties: { p: 'x'.repeat(30_000) } }));";
    const { events, result } = await run(body, "abcdefgh");
    expect(result.ran).toBe(2);
    expect(events).toHaveLength(2);
    expect(result.dropped).toEqual([]);
  });
});

describe("pairBatch", () => {
  const given = [{ uuid: "u0" }, { uuid: "u1" }, { uuid: "u2" }];
  const pair = (...returned: unknown[]) => pairBatch(returned, { events: given, uuids: ["u0", "u1", "u2"] }, 5);
  const fresh = { uuid: "new" };

  it.each([
    ["by position in an array as long", [fresh, null, fresh], [[fresh], undefined, [fresh]]],
    ["by uuid, wherever it stands", [{ uuid: "u2" }, { uuid: "u0" }], [[{ uuid: "u0" }], undefined, [{ uuid: "u2" }]]],
    ["by identity, with another uuid", [given[2], given[0]], [[given[0]], undefined, [given[2]]]],
    ["to the one before it, otherwise", [given[1], fresh], [undefined, [given[1], fresh], undefined]],
    ["to the first one, at the start", [fresh], [[fresh], undefined, undefined]],
    ["one by one, out of an array", [[fresh, null, given[2]], null, 5], [[fresh], undefined, [given[2], 5]]],
  ])("gives what was returned %s", (_, returned, groups) => {
    expect(pair(...returned)).toEqual(groups);
  });

  it("refuses more than can be meant before it looks at them", () => {
    expect(() => pair(...new Array(16))).toThrow(OutputError);
  });
});

describe("any chain", () => {
  const body = fc.constantFrom(
    "return event;",
    "return event.event < 'c' ? null : event;",
    "return [event, { ...event, event: 'z' }];",
    "if (event.event === 'b') throw new Error('no'); return event;",
    "if (event.event === 'd') for (;;); return [null, event];",
  );
  const batch = fc.constantFrom(
    "return events;",
    "return events.filter((event) => event.event !== 'a');",
    "return events.reverse();",
    "return [...events, ...events];",
    "return events.map((event) => (event.event === 'c' ? null : [event, { ...event, event: 'y' }]));",
    "for (const event of events) if (event.event === 'b') throw new Error('no'); return events;",
  );
  const code: fc.Arbitrary<Code> = fc.oneof(
    body,
    batch.map((text) => ({ batch: text })),
  );
  const script = fc.record({
    code,
    on_error: fc.constantFrom("pass" as const, "drop" as const, "quarantine" as const),
    source: fc.constantFrom("posthog", "shop", undefined),
  });
  const shaper = fc.record({
    code,
    on_error: fc.constantFrom("dead_letter" as const, "pass" as const, "drop" as const),
  });
  const input = fc.record({
    event: fc.constantFrom("a", "b", "c", "d", "e"),
    source: fc.constantFrom("posthog", "shop"),
    quarantine: fc.constantFrom(undefined, undefined, undefined, "rule"),
  });

  it("accounts for every input once, in order, and for every line at every destination (invariants 3, 5, 7)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(script, { maxLength: 3 }),
        shaper,
        fc.array(input, { maxLength: 12 }),
        async (scripts, hook, inputs) => {
          const events = inputs.map((each, i) => anEvent({ ...(each as object), uuid: uuidOf(i) }));
          const filters = { hook: { event: { neq: "e" } } };
          const specs = scripts.map(({ source, ...rest }) => (source === undefined ? rest : { ...rest, source }));
          const chain = chainOf({ scripts: specs, shapers: { hook }, filters, limits: { outputs: 40 } });
          const { result, events: lines } = await runChain(chain, events);
          const ran = result.ran ?? inputs.length;
          const sources = result.sources ?? lines.map((_, i) => i);
          const quarantined = (result.quarantined ?? []).map(({ index }) => index);
          expect(sources).toHaveLength(lines.length);
          expect(sources).toEqual(sources.toSorted((a, b) => a - b));
          const accounts = [...new Set(sources), ...result.dropped, ...quarantined].sort((a, b) => a - b);
          expect(accounts).toEqual(Array.from({ length: ran }, (_, i) => i));
          expect(new Set(lines.map(({ uuid }) => uuid)).size).toBe(lines.length);
          const share = result.own?.hook;
          expect(share?.sources).toEqual(share?.sources.toSorted((a, b) => a - b));
          expect([...new Set(share?.sources), ...(share?.dropped ?? [])].sort((a, b) => a - b)).toEqual(
            result.matches.hook,
          );
          expect(share?.sources).toHaveLength(share?.count as number);
        },
      ),
      { numRuns: 300 },
    );
  });
});
