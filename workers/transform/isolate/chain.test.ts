import { describe, expect, it } from "vitest";
import type { Event } from "../../../shared/event.ts";
import type { Filter } from "../../../shared/filter.ts";
import type { RunResult } from "../../../shared/sandbox-api.ts";
import { anEvent } from "../../../shared/testing/builders.ts";
import { injectFuel } from "../fuel.ts";
import { chainOf as chainFrom, runChain } from "../testing/chain-of.ts";
import { evaluate } from "../testing/evaluate.ts";
import { type Chain, DEFAULT_CHAIN_LIMITS } from "./chain.ts";
import type { Skips } from "./chain-types.ts";
import { refill } from "./fuel-tank.ts";

const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";

/** A chain of scripts, each given as the body of `transform(event, ctx)`, or as a whole module. */
function chainOf(codes: string[], filters: Record<string, Filter> = {}, inputs: Record<string, unknown> = {}): Chain {
  return chainFrom({ scripts: codes.map((code) => ({ code, inputs })), filters });
}

async function run(chain: Chain, events: unknown[], skips?: Skips): Promise<{ result: RunResult; events: Event[] }> {
  const { result, ...rest } = await runChain(chain, events, skips);
  delete result.use;
  return { result, ...rest };
}

async function runOne(code: string, event = anEvent(), inputs = {}) {
  const { result, events } = await run(chainOf([code], {}, inputs), [event]);
  return { result, event: events[0] as Event, events, error: result.errors[0]?.message };
}

describe("a chain", () => {
  it("gives each event to every script in turn", async () => {
    const chain = chainOf([
      "event.properties.first = ctx.team; return event;",
      "event.properties.second = event.properties.first + '!'; return event;",
    ]);
    const { result, events } = await run(chain, [anEvent({ event: "a" }), anEvent({ event: "b" })]);
    expect(result).toEqual({ sources: null, dropped: [], matches: {}, errors: [] });
    expect(events.map(({ event, properties }) => [event, properties.second])).toEqual([
      ["a", "acme!"],
      ["b", "acme!"],
    ]);
  });

  it("ends a batch early where what it has become fills an answer, and says how far it came", async () => {
    const chain = chainOf(["return event.event === 'drop' ? null : [event, event, event];"]);
    const events = ["a", "drop", "b", "c", "d", "e", "f"].map((event) =>
      anEvent({ event, properties: { p: "x".repeat(10_000) } }),
    );
    const { result, events: outputs } = await run(chain, events);
    expect(result).toMatchObject({ ran: 5, dropped: [1], sources: [0, 0, 0, 2, 2, 2, 3, 3, 3, 4, 4, 4] });
    expect(outputs.map(({ event }) => event).join("")).toBe("aaabbbcccddd");
  });

  it("refuses outputs of one event that fill more than an answer together", async () => {
    const { error, event } = await runOne(
      "const big = { ...event, properties: { p: 'x'.repeat(40000) } }; return [big, big, big];",
    );
    expect(error).toBe("returned events of more than 100000 characters together");
    expect(event.properties.$transformations_failed).toEqual(["s0"]);
  });

  it("passes lines on untouched without scripts, and filters them all the same", async () => {
    const line = '{"uuid":"x", "event":"a","distinct_id":"d","properties":{}}';
    expect(await chainOf([]).run(line)).toEqual({
      result: { sources: null, dropped: [], matches: {}, errors: [] },
      lines: [line],
    });
    const filtered = await chainOf([], { hook: { event: { eq: "a" } }, none: { any: [] } }).run(line);
    expect(filtered.lines).toEqual([line]);
    expect(filtered.result.matches).toEqual({ hook: [0], none: [] });
  });

  it("runs an empty batch", async () => {
    expect(await chainOf(["return event;"]).run("")).toEqual({
      result: { sources: null, dropped: [], matches: {}, errors: [] },
      lines: [],
    });
  });

  it("accounts for what is dropped and what multiplies", async () => {
    const chain = chainOf([
      "return event.event === 'drop' ? null : event;",
      "return { two: [event, event], none: [], gone: undefined, a: event, b: event }[event.event];",
    ]);
    const names = ["a", "drop", "two", "none", "gone", "b"];
    const { result, events } = await run(
      chain,
      names.map((event) => anEvent({ event })),
    );
    expect(events.map(({ event }) => event)).toEqual(["a", "two", "two", "b"]);
    expect(result).toMatchObject({ sources: [0, 2, 2, 5], dropped: [1, 3, 4], errors: [] });
  });

  it("keeps the uuid of the first output and derives others that a second run derives again (invariant 7)", async () => {
    const codes = [
      "event.uuid = 'mine'; return [event, { ...event }, event];",
      "return [event, { ...event, uuid: 'mine' }];",
    ];
    const uuids = async () => (await run(chainOf(codes), [anEvent()])).events.map(({ uuid }) => uuid);
    const first = await uuids();
    expect(first[0]).toBe(UUID);
    expect(new Set(first).size).toBe(6);
    for (const uuid of first.slice(1))
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(await uuids()).toEqual(first);
  });

  it("completes an event that a script has built anew", async () => {
    const { event } = await runOne("return { event: 'new', distinct_id: event.distinct_id, properties: {} };");
    const { uuid, timestamp, received_at, source } = anEvent();
    expect(event).toEqual({
      event: "new",
      distinct_id: "user-1",
      properties: {},
      timestamp,
      ip: null,
      uuid,
      received_at,
      source,
    });
  });

  it("keeps received_at and lets a script remove the address", async () => {
    const { event } = await runOne("delete event.ip; event.received_at = 'now'; return event;");
    expect(event).toMatchObject({ ip: null, received_at: anEvent().received_at });
  });

  it("gives scripts their inputs, frozen, and the event's geo", async () => {
    const code = `
      try { ctx.inputs.list.push(1); } catch (error) { event.properties.error = error.name; }
      event.properties.geo = ctx.geo.country; event.properties.inputs = ctx.inputs; return event;`;
    const { event } = await runOne(code, anEvent({ geo: { country: "NZ" } }), { list: [{ a: 1 }] });
    expect(event.properties).toMatchObject({ error: "TypeError", geo: "NZ", inputs: { list: [{ a: 1 }] } });
  });

  it("collects what scripts log, up to a limit", async () => {
    const { result } = await runOne("for (let i = 0; i < 200; i++) ctx.log('n', i, { a: [1] }); return event;");
    expect(result.logs).toHaveLength(100);
    expect(result.logs![1]).toEqual({ script: "s0", index: 0, text: 'n 1 {"a":[1]}' });
  });
});

describe("a script that fails", () => {
  it.each([
    ["throws", "throw new TypeError('no plan');", /^TypeError: no plan/],
    ["throws no error", "throw 'no plan';", /^threw "no plan"$/],
    [
      "throws a value that fights back",
      "throw new Proxy(new Error(), { get() { throw 1; } });",
      /^threw a value that cannot be read$/,
    ],
    ["reads what is not there", "return event.a.b;", /^TypeError: Cannot read properties of undefined/],
    ["returns a number", "return 5;", /^returned a number: return an event/],
    ["returns true", "return true;", /^returned a boolean/],
    ["returns a nested array", "return [[event]];", /^returned an array inside an array/],
    [
      "returns an event without a name",
      "delete event.event; return event;",
      /whose "event" is not a text that is not empty$/,
    ],
    [
      "returns an event with a number for a user",
      "event.distinct_id = 5; return event;",
      /whose "distinct_id" is not a text of 1 to 200/,
    ],
    ["returns a user id that is too long", "event.distinct_id = 'x'.repeat(201); return event;", /whose "distinct_id"/],
    [
      "returns properties that are a list",
      "event.properties = []; return event;",
      /whose "properties" is not an object$/,
    ],
    ["returns null properties", "event.properties = null; return event;", /whose "properties" is not an object$/],
    ["returns a bad $set", "event.$set = 5; return event;", /whose "\$set" is not an object$/],
    ["returns a bad timestamp", "event.timestamp = 'soon'; return event;", /whose "timestamp" is not an ISO 8601 text/],
    ["returns a bad address", "event.ip = 5; return event;", /whose "ip" is not a text or null$/],
    ["returns a cycle", "event.properties.self = event; return event;", /^TypeError: Converting circular structure/],
    ["returns a BigInt", "event.properties.n = 1n; return event;", /^TypeError: .*BigInt/],
    [
      "returns a toJSON that throws",
      "event.toJSON = () => { throw new Error('json'); }; return event;",
      /^Error: json/,
    ],
    ["returns a toJSON that gives a text", "event.toJSON = () => 'x'; return event;", /whose toJSON gives no object$/],
    [
      "returns a toJSON that gives nothing",
      "event.toJSON = () => undefined; return event;",
      /whose toJSON gives no object$/,
    ],
    ["returns too many events", "return Array(6).fill(event);", /^returned 6 events: at most 5 are possible$/],
    [
      "returns too much",
      "event.properties.x = 'x'.repeat(1000000); return event;",
      /^returned an event of \d+ characters/,
    ],
    ["returns a promise", "return Promise.reject(event);", /^transform must be synchronous: it returned a promise$/],
    ["returns a thenable", "return { then() {} };", /^transform must be synchronous/],
    ["loops for ever", "while (true) {}", /^ran out of fuel after 1000 steps/],
    ["loops for ever and says otherwise", "try { while (true) {} } catch { return event; }", /^ran out of fuel/],
    ["loops while it is written", "event.toJSON = () => { while (true) {} }; return event;", /^ran out of fuel/],
    [
      "loops while its error is read",
      "throw { get message() { while (true) {} }, __proto__: Error.prototype };",
      /^ran out of fuel/,
    ],
    ["has no function", "export const transform = Object(5);", /^its export "transform" is a object, not a function$/],
    ["throws at its top", "export const transform = null.x;", /^does not load: TypeError/],
    [
      "loops at its top",
      "export const transform = (() => { while (true) {} })();",
      /^does not load: ran out of fuel after 1000 steps/,
    ],
  ])("and %s leaves the event as it stood, marked, and is named", async (_, code, message) => {
    const { result, event } = await runOne(`${code.includes("export ") ? "" : "event.properties.touched = 1;"}${code}`);
    expect(event).toEqual(anEvent({ properties: { plan: "pro", $transformations_failed: ["s0"] } }));
    expect(result.errors).toEqual([{ script: "s0", message: expect.stringMatching(message), count: 1, index: 0 }]);
    expect(result).toMatchObject({ sources: null, dropped: [] });
  });

  it("says on which line it stopped", async () => {
    const stack = "Error: x\n    at transform (script-0.js:7:13)\n    at script-9.js:1:1";
    const { error } = await runOne(
      `\nconst error = new Error("x"); error.stack = ${JSON.stringify(stack)}; throw error;`,
    );
    expect(error).toBe("Error: x (line 7)");
  });

  it("hands the next script what the script before it made", async () => {
    const chain = chainOf([
      "event.properties.first = true; return event;",
      "event.properties.second = true; throw new Error('x');",
      "event.properties.third = event.properties.$transformations_failed.length; return event;",
      "throw new Error('y');",
    ]);
    const { result, events } = await run(chain, [anEvent()]);
    expect(events[0]!.properties).toEqual({
      plan: "pro",
      first: true,
      third: 1,
      $transformations_failed: ["s1", "s3"],
    });
    expect(result.errors.map(({ script }) => script)).toEqual(["s1", "s3"]);
  });

  it("is counted by message, and does not touch the events beside it", async () => {
    const chain = chainOf(["if (event.event === 'bad') throw new Error('x'); return event;"]);
    const { result, events } = await run(
      chain,
      ["a", "bad", "b", "bad"].map((event) => anEvent({ event })),
    );
    expect(result.errors).toEqual([{ script: "s0", message: expect.stringContaining("Error: x"), count: 2, index: 1 }]);
    expect(events.map(({ properties }) => "$transformations_failed" in properties)).toEqual([false, true, false, true]);
  });

  it("cannot make the list of errors grow without bound", async () => {
    const chain = chainOf(["throw new Error(event.event);"]);
    const { result } = await run(
      chain,
      Array.from({ length: 200 }, (_, i) => anEvent({ event: `e${i}` })),
    );
    expect(result.errors).toHaveLength(51);
    expect(result.errors.at(-1)).toEqual({
      script: "s0",
      message: "more errors with other messages",
      count: 150,
      index: 50,
    });
  });

  it("costs no more than a batch's steps, then is not run any more", async () => {
    const chain = chainOf(["while (true) {}", "event.properties.second = true; return event;"]);
    const { result, events } = await run(
      chain,
      Array.from({ length: 20 }, () => anEvent()),
    );
    expect(result.errors.map(({ message, count }) => [message.slice(0, 20), count])).toEqual([
      ["ran out of fuel afte", 10],
      ["used up the 10000 st", 10],
    ]);
    expect(events.every(({ properties }) => properties.second === true)).toBe(true);
  });

  it("does not keep what it left running from the next event", async () => {
    const chain = chainOf(["Promise.allSettled([(async () => { for (;;) await 1; })()]); return event;"]);
    const { result } = await run(chain, [anEvent(), anEvent()]);
    expect(result.errors).toEqual([]);
  });
});

describe("skips", () => {
  it("applies the policy to a skipped script, and does not load it", async () => {
    const chain = chainOf([
      "export const transform = (() => { throw 1; })();",
      "event.properties.ran = true; return event;",
    ]);
    const { result, events } = await run(chain, [anEvent()], { scripts: new Set(["s0"]), events: new Map() });
    expect(events[0]!.properties).toMatchObject({ ran: true, $transformations_failed: ["s0"] });
    expect(result.errors).toEqual([]);
  });

  it("applies it to one event only where asked so", async () => {
    const chain = chainOf(["event.properties.ran = true; return event;"]);
    const skips = { scripts: new Set<string>(), events: new Map([[1, new Set(["s0"])]]) };
    const { events } = await run(chain, [anEvent(), anEvent()], skips);
    expect(events.map(({ properties }) => properties.ran)).toEqual([true, undefined]);
  });
});

describe("filters", () => {
  it("see each line as it is delivered", async () => {
    const chain = chainOf(
      [
        "if (event.event === 'drop') return null; event.properties.plan = event.event; return [event, { ...event, event: 'copy' }];",
      ],
      {
        pro: { property: "plan", eq: "pro" },
        copies: { event: { eq: "copy" } },
      },
    );
    const { result } = await run(
      chain,
      ["pro", "drop", "free"].map((event) => anEvent({ event })),
    );
    expect(result.matches).toEqual({ pro: [0, 1], copies: [1, 3] });
  });

  it("read the line where a script left a getter behind", async () => {
    const code =
      "Object.defineProperty(event.properties, 'plan', { enumerable: true, get() { return 'gold'; } }); return event;";
    const { result } = await run(chainOf([code], { gold: { property: "plan", eq: "gold" } }), [anEvent()]);
    expect(result.matches).toEqual({ gold: [0] });
  });
});

describe("step by step", () => {
  it("gives what a run gives", async () => {
    const codes = [
      "return [event, { ...event, event: 'copy' }];",
      "if (event.event === 'copy') throw new Error('x'); return event;",
    ];
    const whole = await chainOf(codes).run(JSON.stringify(anEvent()));
    const chain = chainOf(codes, { all: { all: [] } });
    const first = await chain.step(0, 4, [JSON.stringify(anEvent())], false);
    const second = await chain.step(1, 4, first.lines, false);
    expect(second.lines).toEqual(whole.lines);
    expect(second.errors).toEqual([{ ...whole.result.errors[0], index: 4 }]);
    expect(chain.match(second.lines)).toEqual({ all: [0, 1] });
  });

  it("marks instead of running where asked so", async () => {
    const step = await chainOf(["throw 1;"]).step(0, 0, [JSON.stringify(anEvent())], true);
    expect(JSON.parse(step.lines[0] as string).properties.$transformations_failed).toEqual(["s0"]);
    expect(step.errors).toEqual([]);
  });
});

describe("the default limits", () => {
  it("let a script that always loops take less than a hang of the sandbox, whatever the batch", () => {
    const { eventSteps, batchSteps } = DEFAULT_CHAIN_LIMITS;
    const code =
      "let s = 0; for (const k of Object.keys(event)) s += k.length; while (true) { s = (s * 31 + event.event.length) | 0; }";
    const { transform } = evaluate(injectFuel(`export function transform(event) { ${code} }`), "transform");
    const event = anEvent();
    const started = performance.now();
    for (let spent = 0; spent < batchSteps; spent += eventSteps) {
      refill(eventSteps);
      expect(() => (transform as (event: Event) => void)(event)).toThrow("out of fuel");
    }
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
