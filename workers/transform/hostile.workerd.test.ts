/**
 * What scripts see of each other: nothing of another team (invariant 4); within a team the globals, as docs/scripts.md says.
 */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../shared/clock.ts";
import type { Event } from "../../shared/event.ts";
import type { BundleUpload, RunResult } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { type BundleSource, compileBundle } from "./compile.ts";
import { Host } from "./host.ts";
import type { TransformEnv } from "./index.ts";
import { Isolates } from "./isolates.ts";

const { LOADER } = env as unknown as TransformEnv;

interface Answer {
  result: RunResult;
  events: Event[];
}

/** A sandbox of its own, with room for so many isolates. */
function aSandbox(capacity: number) {
  const isolates = new Isolates(LOADER, capacity);
  const host = new Host({ isolates, clock: systemClock, wait: (ms, options) => scheduler.wait(ms, options) });
  const ask = async (path: string, init: RequestInit): Promise<string> => {
    const context = createExecutionContext();
    const answer = await host.fetch(new Request(`http://sandbox${path}`, init), context);
    const text = await answer.text();
    await waitOnExecutionContext(context);
    expect(answer.ok, text).toBe(true);
    return text;
  };
  return {
    isolates,
    async run(bundle: Bundle, events: Event[], credentials: BundleUpload["credentials"] = {}): Promise<Answer> {
      await ask(`/bundles/${bundle.hash}`, { method: "PUT", body: JSON.stringify({ bundle, credentials }) });
      const body = events.map((event) => JSON.stringify(event)).join("\n");
      const text = await ask(`/run/${bundle.hash}`, { method: "POST", body });
      const [result, ...lines] = text.split("\n").map((line) => JSON.parse(line));
      return { result, events: lines };
    },
  };
}

function aTeam(team: string, codes: string[], modules: BundleSource["modules"] = []): Promise<Bundle> {
  const scripts = codes.map((code, i) => ({
    ...{ id: `s${i}`, on_error: "pass" as const, inputs: { of: team } },
    code: code.includes("export ") ? code : `export function transform(event, ctx) { ${code} }`,
  }));
  return compileBundle({ team, scripts, modules, filters: {} });
}

let nextTeam = 0;
/** Isolates outlive the sandboxes of these tests: no two share a bundle. */
const unique = (name: string) => `${name}-${nextTeam++}`;

describe("two teams (invariant 4)", () => {
  /** Keeps all that it can lay hands on, where a script of another team would look for it. */
  const HOARD = `
    globalThis.loot = [...(globalThis.loot ?? []), JSON.stringify([event, ctx.inputs, ctx.credentials])];
    Array.prototype.loot = globalThis.loot; Function.prototype.loot = globalThis.loot; Symbol.for("loot"); console.loot = globalThis.loot;
    URL.loot = globalThis.loot; ctx.log("loot", event.properties.secret); return event;`;
  const LOOK = `
    const places = [globalThis.loot, [].loot, (() => {}).loot, console.loot, URL.loot, ctx.loot, event.loot];
    const names = Reflect.ownKeys(globalThis).map(String).filter((name) => /loot|bundle|credential|chain|harness/i.test(name));
    event.properties = { found: places.filter((place) => place !== undefined), names, inputs: ctx.inputs, credentials: ctx.credentials, team: ctx.team };
    return event;`;

  it("see nothing of each other's globals, events, inputs, credentials and logs, in turns and after errors", async () => {
    const sandbox = aSandbox(4);
    const victim = await aTeam(unique("victim"), [`${HOARD}`]);
    const thief = await aTeam(unique("thief"), [LOOK, "throw new Error('look at me');"]);
    const secret = anEvent({ properties: { secret: "of-the-victim" } });
    for (let i = 0; i < 3; i++) {
      const own = await sandbox.run(victim, [secret], { s0: { KEY: "key-of-the-victim" } });
      expect(own.result.errors).toEqual([]);
      const { result, events } = await sandbox.run(thief, [anEvent()], { s0: { KEY: "key-of-the-thief" } });
      expect(events[0]?.properties).toEqual({
        found: [],
        names: [],
        inputs: { of: thief.team },
        credentials: { KEY: "key-of-the-thief" },
        team: thief.team,
        $transformations_failed: ["s1"],
      });
      expect(JSON.stringify(result)).not.toContain("victim");
    }
  });

  it("have modules of the same name each for themselves", async () => {
    const sandbox = aSandbox(4);
    const use =
      'import { owner, count } from "shared";\nexport const transform = (event) => ({ ...event, properties: { owner, n: count() } });';
    const of = (owner: string) =>
      aTeam(
        unique(owner),
        [use],
        [{ id: "shared", code: `let n = 0;\nexport const owner = "${owner}";\nexport const count = () => ++n;` }],
      );
    const [a, b] = [await of("a"), await of("b")];
    const seen: unknown[] = [];
    for (const bundle of [a, b, a]) seen.push((await sandbox.run(bundle, [anEvent()])).events[0]?.properties);
    expect(seen).toEqual([
      { owner: "a", n: 1 },
      { owner: "b", n: 1 },
      { owner: "a", n: 2 },
    ]);
  });

  it("with the same scripts are not given the same isolate", async () => {
    const sandbox = aSandbox(4);
    const count = "globalThis.n = (globalThis.n ?? 0) + 1; event.properties = { n: globalThis.n }; return event;";
    const [a, b] = [await aTeam(unique("a"), [count]), await aTeam(unique("b"), [count])];
    expect((await sandbox.run(a, [anEvent(), anEvent()])).events[1]?.properties).toEqual({ n: 2 });
    expect((await sandbox.run(b, [anEvent()])).events[0]?.properties).toEqual({ n: 1 });
  });
});

describe("one team", () => {
  const COUNT = "globalThis.n = (globalThis.n ?? 0) + 1; event.properties.n = globalThis.n; return event;";
  const runOf = async (sandbox: ReturnType<typeof aSandbox>, bundle: Bundle) =>
    (await sandbox.run(bundle, [anEvent({ properties: {} })])).events[0]?.properties.n;

  it("keeps its globals between batches, for all scripts of its chain, until it publishes or its isolate goes", async () => {
    const sandbox = aSandbox(2);
    const team = unique("globals");
    const bundle = await aTeam(team, [COUNT, "event.properties.seen = globalThis.n; return event;"]);
    expect((await sandbox.run(bundle, [anEvent()])).events[0]?.properties).toMatchObject({ n: 1, seen: 1 });
    expect(await runOf(sandbox, bundle)).toBe(2);
    // Another version is another isolate.
    expect(await runOf(sandbox, await aTeam(team, [`${COUNT} /* 2 */`]))).toBe(1);
    // Two others take its place.
    for (const other of ["x", "y"]) await runOf(sandbox, await aTeam(unique(other), [COUNT]));
    expect(sandbox.isolates.size).toBe(2);
    expect(await runOf(sandbox, bundle)).toBe(1);
  });

  it("loses them when its isolate is discarded", async () => {
    const sandbox = aSandbox(2);
    const bundle = await aTeam(unique("discarded"), [COUNT]);
    expect([await runOf(sandbox, bundle), await runOf(sandbox, bundle)]).toEqual([1, 2]);
    await sandbox.isolates.discard(bundle.hash);
    expect(await runOf(sandbox, bundle)).toBe(1);
  });

  it("cannot change an event that it has returned: neither its own next script nor a destination sees it", async () => {
    const sandbox = aSandbox(2);
    const keep =
      "globalThis.kept ??= []; for (const old of globalThis.kept) { old.event = 'changed'; old.properties.changed = true; } globalThis.kept.push(event); return { ...event, properties: { ...event.properties } };";
    const bundle = await aTeam(unique("kept"), [keep, "return event;"]);
    const events = ["a", "b", "c"].map((event) => anEvent({ event, properties: {} }));
    for (let i = 0; i < 2; i++) {
      const answer = await sandbox.run(bundle, events);
      expect(answer.events.map(({ event, properties }) => [event, properties])).toEqual([
        ["a", {}],
        ["b", {}],
        ["c", {}],
      ]);
    }
  });

  it("gets as plain data what a script returned with getters, proxies or toJSON in it", async () => {
    const sandbox = aSandbox(2);
    const live = `
      let reads = 0;
      Object.defineProperty(event, "distinct_id", { enumerable: true, get() { return "user-" + reads++; } });
      event.properties = new Proxy({ a: 1 }, { get(target, key) { return target[key]; }, ownKeys: () => ["a"], getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }) });
      event.$set = { toJSON: () => ({ b: 2 }) };
      return event;`;
    const look =
      "event.properties.look = [Object.getOwnPropertyDescriptor(event, 'distinct_id').get === undefined, event.$set.b]; return event;";
    const { result, events } = await sandbox.run(await aTeam(unique("live"), [live, look]), [anEvent()]);
    expect(result.errors).toEqual([]);
    expect(events[0]).toMatchObject({ $set: { b: 2 }, properties: { a: 1, look: [true, 2] } });
  });

  it("has one script blamed for what it did, though another one met it", async () => {
    const sandbox = aSandbox(2);
    const traps = [
      "Object.defineProperty(event, 'uuid', { get() { for (;;) {} } }); return event;",
      "return new Proxy(event, { get(target, key) { if (key === 'geo') for (;;) {} return target[key]; } });",
    ];
    for (const trap of traps) {
      const { result, events } = await sandbox.run(await aTeam(unique("trap"), [trap, "return { ...event };"]), [
        anEvent(),
      ]);
      expect(result.errors.map(({ script }) => script).filter((script) => script !== "s0")).toEqual([]);
      expect(events).toHaveLength(1);
    }
  });

  it("cannot leave work behind that runs in another script's call or on its fuel", async () => {
    const sandbox = aSandbox(2);
    const leave =
      "globalThis.late = []; const again = () => Promise.resolve().then(() => { globalThis.late.push(1); return again(); }); again(); return event;";
    const wait =
      "export async function processEvent(event) { for (let i = 0; i < 100; i++) await null; event.properties.late = globalThis.late.length; return event; }";
    const bundle = await aTeam(unique("late"), [leave, wait]);
    for (let i = 0; i < 2; i++) {
      const { result, events } = await sandbox.run(bundle, [anEvent()]);
      expect(result.errors).toEqual([]);
      expect(events[0]?.properties.late).toBe(0);
    }
  });
});
