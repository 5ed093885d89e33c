import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../shared/clock.ts";
import type { Event } from "../../shared/event.ts";
import type { Filter } from "../../shared/filter.ts";
import type { BundleUpload, Progress, RunResult } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { bundleHash } from "./bundle.ts";
import { type BundleSource, compileBundle } from "./compile.ts";
import { injectFuel } from "./fuel.ts";
import { Host } from "./host.ts";
import type { TransformEnv } from "./index.ts";
import { Isolates } from "./isolates.ts";

const { LOADER } = env as unknown as TransformEnv;
const ORIGIN = "http://sandbox";

type Sandbox = (request: Request) => Promise<Response>;
const deployed: Sandbox = (request) => (exports as unknown as { default: Fetcher }).default.fetch(request);

function bundleOf(team: string, codes: string[], filters: Record<string, Filter> = {}): Promise<Bundle> {
  const scripts = codes.map((code, i) => ({
    id: `s${i}`,
    code: code.includes("export ") ? code : `export function transform(event, ctx) { ${code} }`,
    on_error: "pass" as const,
    inputs: { suffix: "!" },
  }));
  return compileBundle({ team, scripts, filters });
}

/** A script that publishing would refuse: the isolate does not rest on that. */
async function unpublishable(body: string): Promise<Bundle> {
  const bundle = await bundleOf("acme", ["return event;"]);
  bundle.modules["script-0.js"] = injectFuel(`export function transform(event, ctx) { ${body} }`);
  bundle.hash = await bundleHash(bundle);
  return bundle;
}

function put(
  bundle: Bundle,
  sandbox = deployed,
  hash = bundle.hash,
  credentials: BundleUpload["credentials"] = {},
): Promise<Response> {
  const upload: BundleUpload = { bundle, credentials };
  return sandbox(new Request(`${ORIGIN}/bundles/${hash}`, { method: "PUT", body: JSON.stringify(upload) }));
}

function post(bundle: Bundle, events: unknown[], query = "", sandbox = deployed): Promise<Response> {
  const body = events.map((event) => JSON.stringify(event)).join("\n");
  return sandbox(new Request(`${ORIGIN}/run/${bundle.hash}${query}`, { method: "POST", body }));
}

async function read(answer: Response): Promise<{ progress: Progress[]; result: RunResult; events: Event[] }> {
  expect(answer.status).toBe(200);
  const lines = (await answer.text()).split("\n").map((line) => JSON.parse(line));
  const head = lines.findIndex((line) => "sources" in line);
  return { progress: lines.slice(0, head), result: lines[head], events: lines.slice(head + 1) };
}

async function run(bundle: Bundle, events: unknown[], query = "", credentials: BundleUpload["credentials"] = {}) {
  await put(bundle, deployed, bundle.hash, credentials);
  return read(await post(bundle, events, query));
}

/** How scripts did is counted the same way in every test: left out where it is of no interest. */
function withoutUse({ use: _, ...result }: RunResult): RunResult {
  return result;
}

describe("the sandbox", () => {
  it("answers its health", async () => {
    expect((await deployed(new Request(`${ORIGIN}/health`))).status).toBe(200);
  });

  it("runs a chain, keeps the good events beside bad ones, and evaluates filters", async () => {
    const bundle = await bundleOf(
      "acme",
      [
        "if (event.event === 'drop') return null; if (event.event === 'bad') throw new Error('no'); return event.event === 'two' ? [event, { ...event, event: 'copy' }] : event;",
        "event.properties.seen = ctx.team + ctx.inputs.suffix; return event;",
      ],
      { copies: { event: { eq: "copy" } }, seen: { property: "seen", eq: "acme!" } },
    );
    const { result, events } = await run(
      bundle,
      ["a", "drop", "bad", "two"].map((event) => anEvent({ event })),
    );
    expect(withoutUse(result)).toEqual({
      sources: [0, 2, 3, 3],
      dropped: [1],
      matches: { copies: [3], seen: [0, 1, 2, 3] },
      errors: [{ script: "s0", message: "Error: no (line 1)", count: 1, index: 2, stack: ["transform (s0:1)"] }],
    });
    expect(result.use?.map(({ script, events: given, dropped, errors }) => [script, given, dropped, errors])).toEqual([
      ["s0", 4, 1, 1],
      ["s1", 4, 0, 0],
    ]);
    expect(events.map(({ event, properties }) => [event, properties.seen, properties.$transformations_failed])).toEqual(
      [
        ["a", "acme!", undefined],
        ["bad", "acme!", ["s0"]],
        ["two", "acme!", undefined],
        ["copy", "acme!", undefined],
      ],
    );
  });

  it("keeps text of every alphabet", async () => {
    const event = anEvent({ event: "größe 🦊 日本", properties: { lone: "\ud83d", nul: "\u0000", line: "\u2028" } });
    const { events } = await run(await bundleOf("acme", ["return event;"]), [event]);
    expect(events).toEqual([event]);
  });

  it("answers an empty batch", async () => {
    const { result, events } = await run(await bundleOf("acme", ["return event;"]), []);
    expect(result).toEqual({ sources: null, dropped: [], matches: {}, errors: [] });
    expect(events).toEqual([]);
  });

  it("shows a team nothing of another one (invariant 4)", async () => {
    const code =
      "globalThis.shared = (globalThis.shared ?? '') + ctx.team; event.properties.saw = globalThis.shared; return event;";
    const saw = async (team: string) =>
      (await run(await bundleOf(team, [code]), [anEvent()])).events[0]!.properties.saw;
    expect(await saw("one")).toBe("one");
    expect(await saw("two")).toBe("two");
    expect(await saw("one")).toBe("oneone");
  });

  it.each([
    ["fetch", "fetch('http://example.com')"],
    ["WebSocket", "new WebSocket('ws://example.com')"],
    ["EventSource", "new EventSource('http://example.com')"],
    ["setTimeout", "setTimeout(() => {}, 1)"],
    ["setInterval", "setInterval(() => {}, 1)"],
    ["queueMicrotask", "queueMicrotask(() => {})"],
    ["addEventListener", "addEventListener('fetch', () => {})"],
    ["caches", "caches.default"],
    ["scheduler", "scheduler.wait(1)"],
    ["navigator", "navigator.userAgent"],
    ["Worker APIs", "Cloudflare.compatibilityFlags"],
    ["Atomics", "Atomics.wait"],
    ["WebAssembly", "WebAssembly.compile"],
    ["process", "process.env"],
    ["require", "require('node:fs')"],
    ["self", "self.fetch"],
  ])("keeps %s from scripts", async (name, expression) => {
    const { result } = await run(await unpublishable(`${expression}; return event;`), [anEvent()]);
    expect(result.errors[0]!.message, name).toMatch(/^ReferenceError: \w+ is not defined/);
  });

  it.each([
    ["globalThis", "return globalThis.fetch ?? globalThis.setTimeout ?? null"],
    [
      "the prototypes of the global object",
      "let p = globalThis; while ((p = Object.getPrototypeOf(p))) if (p.fetch) return {}; return null",
    ],
    ["the constructor of the global object", "return globalThis.constructor.prototype.fetch ?? null"],
  ])("keeps fetch from scripts by way of %s", async (_, code) => {
    const { result } = await run(await unpublishable(`${code};`), [anEvent()]);
    expect(result.dropped).toEqual([0]);
  });

  it.each([
    ["eval", "eval('1')"],
    ["new Function", "new Function('return 1')()"],
    ["a constructor found by a function", "(() => {}).constructor('return 1')()"],
    ["a constructor found by a generator", "(function* () {}).constructor('yield 1')().next()"],
  ])("compiles no code from text through %s", async (_, expression) => {
    const { result } = await run(await unpublishable(`${expression}; return event;`), [anEvent()]);
    expect(result.errors[0]!.message).toMatch(/^(EvalError: Code generation|ReferenceError: eval is not defined)/);
  });

  it("offers what a script may use", async () => {
    const code = `event.properties = {
      host: new URL("https://example.com/a?b=1").host, query: new URLSearchParams("b=1").get("b"), b64: btoa("a"),
      bytes: new TextEncoder().encode("é").length, copy: structuredClone({ a: 1 }), uuid: crypto.randomUUID().length,
      date: typeof Date.now(), intl: new Intl.NumberFormat("en").format(1000) };
      console.warn("hello", 1);
      return event;`;
    const { events, result } = await run(await bundleOf("acme", [code]), [anEvent()]);
    expect(result.errors).toEqual([]);
    expect(result.logs).toEqual([{ script: "s0", index: 0, text: "hello 1" }]);
    expect(events[0]!.properties).toEqual({
      host: "example.com",
      query: "1",
      b64: "YQ==",
      bytes: 2,
      copy: { a: 1 },
      uuid: 36,
      date: "number",
      intl: "1,000",
    });
  });

  it.each([
    "JSON.stringify = () => '{}'",
    "JSON.parse = () => ({})",
    "Array.isArray = () => true",
    "Array.prototype[Symbol.iterator] = () => ({ next: () => ({ done: true }) })",
    "Promise.prototype.then = () => {}",
    "String.prototype.split = () => []",
    "Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({ done: true })",
    "Object.defineProperty(Map.prototype, 'get', { value: () => null })",
    "TextEncoder.prototype.encode = () => new Uint8Array()",
  ])("keeps a script from replacing what the sandbox stands on: %s", async (code) => {
    const bundle = await bundleOf("vandal", [`${code}; return event;`, "event.properties.ran = true; return event;"]);
    for (let i = 0; i < 2; i++) {
      const { result, events } = await run(bundle, [anEvent()]);
      expect(result.errors[0]!.message).toMatch(/^TypeError: /);
      expect(events[0]!.properties).toMatchObject({ ran: true, $transformations_failed: ["s0"] });
    }
  });

  it("lets scripts add to the language and derive from it", async () => {
    const code = `Array.prototype.second = function () { return this[1]; };
      function List() {} List.prototype = Object.create(Array.prototype); List.prototype.constructor = List;
      class Names extends Array { map() { return "mine"; } }
      event.properties.got = [[1, 2].second(), new Names().map()]; return event;`;
    const { events } = await run(await bundleOf("polyfill", [code]), [anEvent()]);
    expect(events[0]!.properties.got).toEqual([2, "mine"]);
  });

  it("stops an endless loop in its own event and runs the ones beside it", async () => {
    const code = "if (event.event === 'bad') while (true) {} return event;";
    const { result, events } = await run(
      await bundleOf("acme", [code]),
      ["a", "bad", "b"].map((event) => anEvent({ event })),
    );
    expect(result.errors).toEqual([
      {
        script: "s0",
        message: expect.stringMatching(/^ran out of fuel .* \(line 1\)$/),
        count: 1,
        index: 1,
        stack: ["transform (s0:1)"],
      },
    ]);
    expect(events).toHaveLength(3);
  });

  it("blames a script that throws at its top, and runs the others", async () => {
    const bundle = await bundleOf("acme", [
      "export const transform = null.x;",
      "event.properties.ran = true; return event;",
    ]);
    const { result, events } = await run(bundle, [anEvent()]);
    expect(result.errors).toEqual([
      {
        script: "s0",
        message: expect.stringMatching(/^does not load: TypeError: .* \(line 1\)$/),
        count: 1,
        index: 0,
        stack: ["s0:1"],
      },
    ]);
    expect(events[0]!.properties).toMatchObject({ ran: true, $transformations_failed: ["s0"] });
  });

  it("skips a script for a batch or for an event, as the query says", async () => {
    const bundle = await bundleOf("acme", [
      "event.properties.a = 1; return event;",
      "event.properties.b = 1; return event;",
    ]);
    const { events } = await run(bundle, [anEvent(), anEvent()], "?skip=s0&fail=1:s1");
    expect(events.map(({ properties: { a, b, $transformations_failed } }) => [a, b, $transformations_failed])).toEqual([
      [undefined, 1, ["s0"]],
      [undefined, undefined, ["s0", "s1"]],
    ]);
  });

  it("gives the same in careful mode, after naming each event and script", async () => {
    const bundle = await bundleOf(
      "acme",
      [
        "if (event.event === 'drop') return null; if (event.event === 'bad') throw new Error('no'); return [event, { ...event, event: 'copy' }];",
        "ctx.log(event.event); return event;",
      ],
      { copies: { event: { eq: "copy" } } },
    );
    const events = ["a", "drop", "bad", "bad"].map((event) => anEvent({ event }));
    const query = "?skip=none&fail=0:s1";
    const whole = await run(bundle, events, query);
    const careful = await run(bundle, events, `${query}&careful=1`);
    expect(careful.result).toEqual(whole.result);
    expect(careful.events).toEqual(whole.events);
    expect(careful.progress).toEqual([
      { event: 0, script: "s0" },
      { event: 1, script: "s0" },
      { event: 2, script: "s0" },
      { event: 2, script: "s1" },
      { event: 3, script: "s0" },
      { event: 3, script: "s1" },
    ]);
  });
});

/** As `bundleOf`, with what it leaves out. */
function richBundleOf(source: Partial<BundleSource>): Promise<Bundle> {
  return compileBundle({ team: "acme", scripts: [], filters: {}, ...source });
}

const script = (id: string, code: string, on_error: "pass" | "drop" | "quarantine" = "pass") => ({
  id,
  code,
  on_error,
  inputs: {},
});
const shaper = (destination: string, code: string, on_error: "dead_letter" | "pass" | "drop" = "dead_letter") => ({
  id: `destination:${destination}`,
  destination,
  code,
  on_error,
  inputs: {},
});

describe("policies, destinations' scripts and batches", () => {
  const events = ["a", "bad", "drop", "two"].map((event, i) =>
    anEvent({ event, uuid: `01890a5d-ac96-774b-bcce-b302099a805${i}` }),
  );
  const source: Partial<BundleSource> = {
    scripts: [
      script("batch", "export const transformBatch = (events) => events.filter((event) => event.event !== 'drop');"),
      script(
        "strict",
        "function check(event) {\n  if (event.event === 'bad') throw new Error('no');\n}\nexport function transform(event) {\n  check(event);\n  return event.event === 'two' ? [event, event] : event;\n}",
        "quarantine",
      ),
    ],
    shapers: [
      shaper(
        "hook",
        "export function transform(event, ctx) { if (event.event === 'a') throw new Error('not a'); return { url: 'https://example.com', body: event.event }; }",
      ),
      shaper("quiet", "export const transformBatch = (events) => events.map(() => null);"),
    ],
    filters: { quiet: { event: { eq: "a" } } },
  };
  const hookShare = {
    count: 3,
    sources: [0, 1, 2],
    dropped: [],
    dead: [{ line: 0, message: "Error: not a (line 1)" }],
  };

  it("run together, and every line and input is accounted for (invariant 5)", async () => {
    const { result, events: lines } = await run(await richBundleOf(source), events);
    expect(result).toMatchObject({
      sources: [0, 3, 3],
      dropped: [2],
      quarantined: [{ index: 1, script: "strict", message: "Error: no (line 2)" }],
      matches: { quiet: [0] },
      own: { hook: hookShare, quiet: { count: 0, sources: [], dropped: [0], dead: [] } },
    });
    expect(result.errors.find(({ script: id }) => id === "strict")?.stack).toEqual([
      "check (strict:2)",
      "transform (strict:5)",
    ]);
    expect(lines.slice(0, 3).map(({ event }) => event)).toEqual(["a", "two", "two"]);
    expect(lines[3]).toEqual(lines[0]);
    expect(lines[4]).toEqual({
      uuid: lines[1]?.uuid,
      event: "two",
      distinct_id: "user-1",
      $request: { url: "https://example.com", body: "two" },
    });
    expect(result.use?.map(({ script: id }) => id)).toEqual([
      "batch",
      "strict",
      "destination:hook",
      "destination:quiet",
    ]);
  });

  it("give the same in careful mode", async () => {
    const bundle = await richBundleOf(source);
    const whole = await run(bundle, events);
    const careful = await run(bundle, events, "?careful=1");
    const byScript = (result: RunResult) => ({
      ...withoutUse(result),
      errors: result.errors.toSorted((a, b) => (a.script < b.script ? -1 : 1)),
    });
    expect(byScript(careful.result)).toEqual(byScript(whole.result));
    expect(careful.events).toEqual(whole.events);
    expect(careful.progress).toEqual([
      { event: 0, script: "batch" },
      { event: 0, script: "strict" },
      { event: 0, script: "destination:hook" },
      { event: 0, script: "destination:quiet" },
      { event: 1, script: "batch" },
      { event: 1, script: "strict" },
      { event: 2, script: "batch" },
      { event: 3, script: "batch" },
      { event: 3, script: "strict" },
      { event: 3, script: "destination:hook" },
    ]);
  });

  it.each(["", "&careful=1"])("run one destination's script alone where asked so%s", async (query) => {
    const { result, events: lines } = await run(
      await richBundleOf(source),
      events,
      `?only=hook&fail=3:destination:hook${query}`,
    );
    expect(withoutUse(result)).toMatchObject({ sources: [], dropped: [], matches: {} });
    expect(result.own).toEqual({
      hook: {
        count: 4,
        sources: [0, 1, 2, 3],
        dropped: [],
        dead: [hookShare.dead[0], { line: 3, message: expect.stringMatching(/^was not run/) }],
      },
    });
    expect(lines).toHaveLength(4);
    const { result: batch } = await run(await richBundleOf(source), events, `?only=quiet${query}`);
    expect(batch.own).toEqual({ quiet: { count: 0, sources: [], dropped: [0, 1, 2, 3], dead: [] } });
    expect((await post(await richBundleOf(source), events, "?only=nobody")).status).toBe(404);
  });

  it("hand a script its credentials, and show them to no other script, team or reader (invariant 8)", async () => {
    const code =
      "export function transform(event, ctx) { ctx.log(ctx.credentials); event.properties.got = ctx.credentials.KEY ?? null; return event; }";
    const own = { ...script("one", code), credentials: { KEY: "sealed-text" } };
    const mine = await richBundleOf({ scripts: [own, script("two", code.replace("got", "other"))] });
    const answer = await run(mine, [anEvent()], "", { one: { KEY: "sk_live_1" } });
    expect(answer.events[0]?.properties).toMatchObject({ got: "sk_live_1", other: null });
    expect(answer.result.logs?.map(({ text }) => text)).toEqual(['{"KEY":"[credential KEY]"}', "{}"]);
    const seen = await run(await richBundleOf({ team: "other", scripts: [script("one", code)] }), [anEvent()]);
    expect(seen.events[0]?.properties.got).toBeNull();
  });
});

describe("bundles", () => {
  it("are missing until they are put", async () => {
    const bundle = await bundleOf("fresh", ["return event;"]);
    const answer = await post(bundle, [anEvent()]);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toEqual({
      code: "bundle_missing",
      message: `bundle ${bundle.hash} is not here: PUT it to /bundles/${bundle.hash} and run the batch again`,
    });
    expect((await put(bundle)).status).toBe(204);
    expect((await read(await post(bundle, [anEvent()]))).events).toHaveLength(1);
  });

  it("are refused where their content is not what the hash says", async () => {
    const bundle = await bundleOf("acme", ["return event;"]);
    const other = await bundleOf("other", ["return event;"]);
    const answers = [await put({ ...bundle, team: "evil" }), await put(other, deployed, bundle.hash)];
    expect(answers.map(({ status }) => status)).toEqual([422, 422]);
    const notJson = new Request(`${ORIGIN}/bundles/${bundle.hash}`, { method: "PUT", body: "{" });
    expect((await deployed(notJson)).status).toBe(422);
  });

  it("that do not load are answered 422 every time, and harm nothing", async () => {
    const bundle = await bundleOf("broken", ["return event;"]);
    bundle.modules["script-0.js"] = "export function (";
    bundle.hash = await bundleHash(bundle);
    await put(bundle);
    for (let i = 0; i < 2; i++) {
      const answer = await post(bundle, [anEvent()]);
      expect(answer.status).toBe(422);
      expect(await answer.json()).toMatchObject({
        code: "bundle_broken",
        message: expect.stringContaining("SyntaxError"),
      });
    }
    expect((await run(await bundleOf("fine", ["return event;"]), [anEvent()])).events).toHaveLength(1);
  });

  it("answers 404 to what it does not have", async () => {
    for (const path of ["/", "/run/xyz", "/bundles"]) {
      expect((await deployed(new Request(ORIGIN + path, { method: "POST" }))).status).toBe(404);
    }
  });
});

describe("isolates", () => {
  const stateful =
    "globalThis.runs = (globalThis.runs ?? 0) + 1; event.properties.runs = globalThis.runs; return event;";

  it("are let go of, least recently used first, and load again when needed", async () => {
    const isolates = new Isolates(LOADER, 2);
    const host = new Host({ isolates, clock: systemClock, wait: (ms, options) => scheduler.wait(ms, options) });
    const sandbox: Sandbox = async (request) => {
      const context = createExecutionContext();
      const answer = await host.fetch(request, context);
      const text = await answer.text();
      await waitOnExecutionContext(context);
      return new Response(answer.status === 204 ? null : text, answer);
    };
    const bundles = await Promise.all(["lru-a", "lru-b", "lru-c"].map((team) => bundleOf(team, [stateful])));
    for (const bundle of bundles) await put(bundle, sandbox);
    const [a, b, c] = bundles as [Bundle, Bundle, Bundle];
    const runs = async (bundle: Bundle) =>
      (await read(await post(bundle, [anEvent()], "", sandbox))).events[0]!.properties.runs;
    expect([await runs(a), await runs(b), await runs(a)]).toEqual([1, 1, 2]);
    expect([await runs(c), await runs(a), await runs(b)]).toEqual([1, 3, 1]);
    expect(isolates.size).toBe(2);
  });
});
