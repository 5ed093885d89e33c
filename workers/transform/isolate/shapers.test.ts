import { describe, expect, it } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { type ChainSpec, chainOf, runChain } from "../testing/chain-of.ts";

function run(spec: ChainSpec, names = ["a"]) {
  return runChain(
    chainOf(spec),
    names.map((event) => anEvent({ event })),
  );
}

/** What a destination's script makes of one event. */
async function shape(code: string) {
  const { result, own } = await run({ shapers: { hook: code } });
  return { line: own.hook?.[0], error: result.errors[0]?.message, share: result.own?.hook };
}

describe("a destination's script", () => {
  it("runs after the chain, on a copy of what the destination takes, and changes nothing elsewhere", async () => {
    const { result, events, own } = await run(
      {
        scripts: ["event.properties.chain = true; return event;"],
        shapers: {
          one: "event.properties.one = event.properties.chain; return event;",
          two: "event.properties.two = 'one' in event.properties; return event;",
        },
        filters: { one: { event: { neq: "b" } }, other: { event: { eq: "b" } } },
      },
      ["a", "b"],
    );
    expect(events.map(({ properties }) => properties)).toEqual(Array(2).fill({ plan: "pro", chain: true }));
    expect(own.one).toMatchObject([{ event: "a", properties: { chain: true, one: true } }]);
    expect(own.two).toMatchObject([
      { event: "a", properties: { two: false } },
      { event: "b", properties: { two: false } },
    ]);
    expect(result).toMatchObject({
      sources: null,
      matches: { one: [0], other: [1] },
      own: {
        one: { count: 1, sources: [0], dropped: [], dead: [] },
        two: { count: 2, sources: [0, 1], dropped: [], dead: [] },
      },
    });
    expect(result.use?.map(({ script, events: given }) => [script, given])).toEqual([
      ["s0", 2],
      ["destination:one", 1],
      ["destination:two", 2],
    ]);
  });

  it("drops for its destination alone, and fans out with uuids of their own (invariant 7)", async () => {
    const code = "return { drop: null, two: [event, event] }[event.event];";
    const { result, events, own } = await run({ shapers: { hook: code } }, ["two", "drop", "two"]);
    expect(events).toHaveLength(3);
    expect(result.own?.hook).toEqual({ count: 4, sources: [0, 0, 2, 2], dropped: [1], dead: [] });
    const uuids = (own.hook as { uuid: string }[]).map(({ uuid }) => uuid);
    expect(uuids[0]).toBe(anEvent().uuid);
    expect(uuids[1]).not.toBe(anEvent().uuid);
  });

  it.each([
    ["dead_letter", { count: 3, sources: [0, 1, 2], dropped: [], dead: [{ line: 1, message: 'threw "no"' }] }],
    ["pass", { count: 3, sources: [0, 1, 2], dropped: [], dead: [] }],
    ["drop", { count: 2, sources: [0, 2], dropped: [1], dead: [] }],
  ] as const)("that fails leaves the event as its policy %s says", async (on_error, share) => {
    const code = "event.properties.touched = 1; if (event.event === 'bad') throw 'no'; return event;";
    const { result, own } = await run({ shapers: { hook: { code, on_error } } }, ["a", "bad", "b"]);
    expect(result.own?.hook).toEqual(share);
    expect(result.errors).toEqual([{ script: "destination:hook", message: 'threw "no"', count: 1, index: 1 }]);
    if (share.count === 3) expect(own.hook?.[1]).toEqual(anEvent({ event: "bad" }));
  });

  it("that is skipped has its policy applied", async () => {
    const chain = chainOf({ shapers: { hook: "return event;", other: { code: "return event;", on_error: "drop" } } });
    const skips = { scripts: new Set(["destination:other"]), events: new Map([[1, new Set(["destination:hook"])]]) };
    const { result } = await runChain(chain, [anEvent(), anEvent()], skips);
    expect(result.own).toMatchObject({
      hook: { sources: [0, 1], dead: [{ line: 1, message: expect.stringMatching(/^was not run/) }] },
      other: { count: 0, dropped: [0, 1] },
    });
    expect(result.errors).toEqual([]);
  });

  it("may take whole batches", async () => {
    const code = { batch: "return events.map((event, i) => (i === 1 ? null : { body: { i, of: events.length } }));" };
    const { result, own } = await run({ shapers: { hook: code }, filters: { hook: { event: { neq: "x" } } } }, [
      "a",
      "x",
      "b",
      "c",
    ]);
    expect(result).toMatchObject({ sources: null, matches: { hook: [0, 2, 3] } });
    expect(result.own?.hook).toEqual({ count: 2, sources: [0, 3], dropped: [2], dead: [] });
    expect(own.hook).toMatchObject([
      { event: "a", $request: { body: { i: 0, of: 3 } } },
      { event: "c", $request: { body: { i: 2, of: 3 } } },
    ]);
  });

  it("ends a batch early where its lines fill an answer, and drops what does not fit one", async () => {
    const code = "return { body: 'x'.repeat(40_000) };";
    const { result } = await run({ shapers: { one: code, two: code } }, ["a", "b", "c", "d"]);
    expect(result.ran).toBe(2);
    const { result: full } = await run({ shapers: { one: code, two: code, three: code } });
    expect(full.own).toMatchObject({ two: { count: 1 }, three: { count: 0, dropped: [0] } });
    expect(full.errors).toMatchObject([{ script: "destination:three", message: /^dropped an event here/ }]);
  });
});

describe("a shaped request", () => {
  it("carries the event's identity and the fields that are known", async () => {
    const { line, error } = await shape(
      "event.uuid = 'x'; return { url: 'https://example.com/a', headers: { 'X-A': '1' }, body: [1], key: null, topic: 't', method: 'GET' };",
    );
    expect(error).toBeUndefined();
    expect(line).toEqual({
      uuid: anEvent().uuid,
      event: "a",
      distinct_id: "user-1",
      $request: { url: "https://example.com/a", headers: { "X-A": "1" }, body: [1], key: null, topic: "t" },
    });
  });

  it("without a body stands beside the whole event, as the script got it", async () => {
    const { own } = await run({
      shapers: { hook: "event.properties = {}; return [{ topic: 't' }, { key: 'k' }, { topic: 't', body: null }];" },
    });
    const [first, second, third] = own.hook as Record<string, unknown>[];
    const event = anEvent({ event: "a" });
    expect(first).toEqual({ ...event, $request: { topic: "t" } });
    expect(second).toEqual({ ...event, uuid: second?.uuid, $request: { key: "k" } });
    expect(second?.uuid).not.toBe(event.uuid);
    expect(third).toEqual({
      ...{ uuid: third?.uuid, event: "a", distinct_id: "user-1", $request: { topic: "t", body: null } },
    });
  });

  it("may be several of one event", async () => {
    const { result, own } = await run({ shapers: { hook: "return [{ body: 1 }, { body: 2 }, event];" } });
    expect(result.own?.hook).toMatchObject({ count: 3, sources: [0, 0, 0] });
    expect(new Set((own.hook as { uuid: string }[]).map(({ uuid }) => uuid)).size).toBe(3);
  });

  it.each([
    ["url", "5"],
    ["url", "'ftp://example.com'"],
    ["url", "'example.com'"],
    ["headers", "['a']"],
    ["headers", "{ a: 1 }"],
    ["headers", "{ 'a b': '1' }"],
    ["headers", "{ a: '1\\r\\nb: 2' }"],
    ["key", "5"],
    ["topic", "''"],
    ["body", "() => 1"],
  ])("with a bad %s is the script's error: %s", async (field, value) => {
    const { error, share, line } = await shape(`return { ${field}: ${value} };`);
    expect(error).toContain(`returned a request whose "${field}" is not `);
    expect(share?.dead).toEqual([{ line: 0, message: error }]);
    expect(line).toEqual(anEvent({ event: "a" }));
  });

  it("is nothing that a script of the chain may return, nor a field that one may set", async () => {
    const { result } = await run({ scripts: ["return { body: 1 };", "event.$request = {}; return event;"] });
    expect(result.errors.map(({ message }) => message.slice(0, 40))).toEqual([
      'returned an event whose "event" is not a',
      'returned an event with "$request": a des',
    ]);
  });
});
