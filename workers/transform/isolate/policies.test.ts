import { describe, expect, it } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { type ChainSpec, chainOf, runChain } from "../testing/chain-of.ts";

const BAD = "if (event.event === 'bad') throw new Error('no'); return event;";

function run(spec: ChainSpec, names: string[]) {
  return runChain(
    chainOf(spec),
    names.map((event) => anEvent({ event })),
  );
}

describe("a script that fails", () => {
  it("drops the event where its policy says so", async () => {
    const { result, events } = await run({ scripts: [{ code: BAD, on_error: "drop" }] }, ["a", "bad", "b"]);
    expect(events.map(({ event }) => event)).toEqual(["a", "b"]);
    expect(result).toMatchObject({ sources: [0, 2], dropped: [1], errors: [{ script: "s0", count: 1, index: 1 }] });
    expect(result.quarantined).toBeUndefined();
  });

  it("sends the input to the quarantine where its policy says so, and the event sees no further script", async () => {
    const { result, events } = await run(
      { scripts: [{ code: BAD, on_error: "quarantine" }, "event.properties.second = 1; return event;"] },
      ["a", "bad", "b"],
    );
    expect(events.map(({ event }) => event)).toEqual(["a", "b"]);
    expect(result).toMatchObject({ sources: [0, 2], dropped: [], errors: [{ script: "s0", index: 1 }] });
    expect(result.quarantined).toEqual([{ index: 1, script: "s0", message: expect.stringMatching(/^Error: no/) }]);
    expect(result.use).toMatchObject([{ events: 3, errors: 1 }, { events: 2 }]);
  });

  it.each([
    ["event by event", "return event;"],
    ["by batches", { batch: "return events;" }],
  ])("takes back what its input has already become, run %s", async (_, last) => {
    const { result, events, own } = await run(
      {
        scripts: [
          "return event.event === 'many' ? [event, { ...event, event: 'bad' }, { ...event, event: 'bad' }] : event;",
          { code: BAD, on_error: "quarantine" },
          last,
        ],
        shapers: { hook: "return event;" },
        filters: { all: { all: [] }, hook: { event: { neq: "a" } } },
      },
      ["a", "many", "b"],
    );
    expect(events.map(({ event }) => event)).toEqual(["a", "b"]);
    expect(result).toMatchObject({ sources: [0, 2], dropped: [], matches: { all: [0, 1], hook: [1] } });
    expect(result.quarantined).toMatchObject([{ index: 1, script: "s1" }]);
    expect(result.own).toEqual({ hook: { count: 1, sources: [1], dropped: [], dead: [] } });
    expect(own.hook).toMatchObject([{ event: "b" }]);
  });

  it("that has been skipped has its policy applied, and is no error", async () => {
    const spec: ChainSpec = {
      scripts: [
        { code: "return event;", on_error: "quarantine" },
        { code: "return event;", on_error: "drop" },
      ],
    };
    const events = [anEvent(), anEvent()];
    const skips = { scripts: new Set(["s1"]), events: new Map([[0, new Set(["s0"])]]) };
    const { result } = await runChain(chainOf(spec), events, skips);
    expect(result).toMatchObject({ dropped: [1], errors: [] });
    expect(result.quarantined).toEqual([{ index: 0, script: "s0", message: expect.stringMatching(/^was not run: /) }]);
  });
});

describe("an event that capture has marked", () => {
  it.each([
    ["without scripts", {}],
    ["with a script", { scripts: ["return event;"] }],
    ["with a script that takes batches", { scripts: [{ batch: "return events;" }] }],
  ] satisfies [string, ChainSpec][])("goes to the quarantine %s", async (_, spec) => {
    const events = [anEvent(), anEvent({ quarantine: "by rule 7" }), anEvent()];
    const { result, events: lines } = await runChain(chainOf(spec), events);
    expect(lines).toHaveLength(2);
    expect(result).toMatchObject({ sources: [0, 2], dropped: [], errors: [] });
    expect(result.quarantined).toEqual([{ index: 1, script: "restriction", message: "by rule 7" }]);
  });
});

describe("a source's script", () => {
  it.each([
    ["event by event", "event.properties.ran = true; return event;"],
    ["by batches", { batch: "for (const event of events) event.properties.ran = true; return events;" }],
  ])("runs on its source's events only, %s", async (_, code) => {
    const chain = chainOf({ scripts: [{ code, source: "shop" }] });
    const { result, events } = await runChain(
      chain,
      ["shop", "posthog", "shop"].map((source) => anEvent({ source })),
    );
    expect(events.map(({ properties }) => properties.ran)).toEqual([true, undefined, true]);
    expect(result.use).toMatchObject([{ script: "s0", events: 2 }]);
  });

  it("is chosen by what the event says before it runs", async () => {
    const code = { batch: "for (const event of events) event.source = 'other'; return events;" };
    const chain = chainOf({ scripts: [{ code, source: "shop" }] });
    const { events } = await runChain(
      chain,
      ["shop", "other"].map((source) => anEvent({ source })),
    );
    expect(events.map(({ source }) => source)).toEqual(["other", "other"]);
  });
});

describe("one event that becomes too much", () => {
  it.each([
    ["event by event", "return event;"],
    ["by batches", { batch: "return events;" }],
  ])("goes to the quarantine, whatever the policy, run %s", async (_, last) => {
    const five = "return event.event === 'big' ? [event, event, event, event, event] : event;";
    const { result, events } = await run({ scripts: [five, five, last], limits: { outputChars: 3_000 } }, ["a", "big"]);
    // Where batches are run, what does not fit comes again.
    expect(events).toMatchObject([{ event: "a" }]);
    if (result.ran === undefined) expect(result.quarantined).toMatchObject([{ index: 1 }]);
    else {
      const { result: again } = await run({ scripts: [five, five, last], limits: { outputChars: 3_000 } }, ["big"]);
      expect(again.quarantined).toEqual([
        { index: 0, script: "s1", message: "made more than 3000 characters of one event" },
      ]);
    }
  });
});

describe("use", () => {
  it("counts events, drops, errors and steps of each script that ran", async () => {
    const code = `if (event.event === "drop") return null; ${BAD.replace("return event;", "")}
      for (let i = 0; i < event.event.length; i++); return event;`;
    const { result } = await run({ scripts: [code, { code: "return event;", source: "nobody" }] }, [
      "a",
      "drop",
      "bad",
      "loops7x",
    ]);
    // Two of one step, one of 2, one of 8.
    expect(result.use).toEqual([
      { script: "s0", events: 4, dropped: 1, errors: 1, steps: 12, histogram: [0, 2, 1, 0, 1] },
    ]);
  });
});

describe("credentials", () => {
  const credentials = { KEY: 'sk_"live"_123', pin: "12" };

  it("reach their script, frozen, and no other one", async () => {
    const code = "event.properties.got = [ctx.credentials.KEY, Object.isFrozen(ctx.credentials)]; return event;";
    const chain = chainOf({ scripts: [{ code, credentials }, { code: code.replace("got", "other") }] });
    const { events } = await runChain(chain, [anEvent()]);
    expect(events[0]?.properties).toMatchObject({ got: [credentials.KEY, true], other: [null, true] });
  });

  it("are taken out of errors and logs (invariant 8)", async () => {
    const code = "ctx.log(ctx.credentials.KEY, ctx.credentials); throw new Error('bad ' + ctx.credentials.KEY + '!');";
    const { result } = await runChain(chainOf({ scripts: [{ code, credentials, on_error: "quarantine" }] }), [
      anEvent(),
    ]);
    expect(result.logs?.[0]?.text).toBe('[credential KEY] {"KEY":"[credential KEY]","pin":"12"}');
    expect(result.errors[0]?.message).toMatch(/^Error: bad \[credential KEY\]!/);
  });

  it("are taken out of stacks, where a script may have named a function so", async () => {
    const code = "({ [ctx.credentials.KEY]() { throw new Error('bad'); } })[ctx.credentials.KEY]();";
    const { result } = await runChain(chainOf({ scripts: [{ code, credentials: { KEY: "sk_live_123" } }] }), [
      anEvent(),
    ]);
    expect(JSON.stringify(result.errors)).not.toContain("sk_live");
    expect(JSON.stringify(result)).not.toContain("live");
  });
});

describe("ctx", () => {
  it("is the same for every event but for geo, and cannot be changed", async () => {
    const code = `
      const { team, inputs, geo, log } = ctx; log(team);
      try { ctx.team = "other"; } catch (error) { event.properties.error = error.name; }
      ctx.mine = 1;
      event.properties.seen = [geo?.country ?? null, typeof inputs, "mine" in Object.getPrototypeOf(ctx)]; return event;`;
    const { events } = await runChain(chainOf({ scripts: [code] }), [anEvent({ geo: { country: "NZ" } }), anEvent()]);
    expect(events.map(({ properties }) => properties)).toEqual([
      { plan: "pro", error: "TypeError", seen: ["NZ", "object", false] },
      { plan: "pro", error: "TypeError", seen: [null, "object", false] },
    ]);
  });
});
