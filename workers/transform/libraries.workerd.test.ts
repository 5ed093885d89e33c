import { exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Event } from "../../shared/event.ts";
import type { RunResult } from "../../shared/sandbox-api.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { type BundleSource, compileBundle } from "./compile.ts";
import { LIBRARIES } from "./library-names.ts";

const { default: sandbox } = exports as unknown as { default: Fetcher };
const ORIGIN = "http://sandbox";

async function run(code: string, modules: BundleSource["modules"] = [], event = anEvent()) {
  const script = { id: "s", code, on_error: "pass" as const, inputs: {} };
  const bundle = await compileBundle({ team: "acme", scripts: [script], modules, filters: {} });
  const stored = await sandbox.fetch(`${ORIGIN}/bundles/${bundle.hash}`, {
    method: "PUT",
    body: JSON.stringify({ bundle, credentials: {} }),
  });
  expect(stored.status).toBe(204);
  const answer = await sandbox.fetch(`${ORIGIN}/run/${bundle.hash}`, { method: "POST", body: JSON.stringify(event) });
  expect(answer.status).toBe(200);
  const [result, ...events] = (await answer.text()).split("\n").map((line) => JSON.parse(line));
  return { result: result as RunResult, events: events as Event[] };
}

async function resultOf(imports: string, expression: string): Promise<unknown> {
  const code = `${imports}\nexport function transform(event) { event.properties.value = ${expression}; return event; }`;
  const { result, events } = await run(code);
  expect(result.errors).toEqual([]);
  return events[0]?.properties.value;
}

describe("a library in an isolate", () => {
  it.each(Object.entries(LIBRARIES))("%s has what it says", async (name, exported) => {
    const value = await resultOf(`import * as library from "${name}";`, "Object.keys(library).sort().join()");
    expect(value).toBe([...exported].sort().join());
  });

  it.each([
    ["hash", 'sha256("abc")', "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "user-agent",
      'parseUserAgent("Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0").browser',
      "Firefox",
    ],
    ["bot", 'isBot("Googlebot/2.1")', true],
    ["geo", 'geoProperties({ country: "DE" }).$geoip_country_name', "Germany"],
    ["url", 'normalizeUrl("HTTPS://A.com/b/?d=1&c=2#e")', "https://a.com/b?c=2&d=1"],
    ["time", 'timestampParts("2024-07-01T12:00:00Z", "America/New_York").hour', 8],
    ["ip", 'maskIp("203.0.113.77")', "203.0.113.0"],
    ["case", 'snakeCase("Order Completed")', "order_completed"],
  ])("headwater:%s works", async (name, expression, expected) => {
    const [called = ""] = expression.split("(");
    expect(await resultOf(`import { ${called} } from "headwater:${name}";`, expression)).toEqual(expected);
  });
});

describe("a module of the team in an isolate", () => {
  const modules = [
    {
      id: "money",
      code: 'import { round } from "./rounding";\nexport const cents = (n: number): number => round(n * 100);',
    },
    { id: "rounding", code: "export let calls = 0;\nexport function round(n) { calls++; return Math.round(n); }" },
    { id: "endless", code: "export function endless() {\n  while (true) {}\n}" },
    { id: "fails", code: "throw new Error('no');\nexport const x = 1;" },
  ];

  it("runs, with what it imports itself, which is there once", async () => {
    const code = `import { cents } from "money";\nimport { calls } from "rounding.ts";
export function transform(event) { event.properties.cents = cents(1.239); event.properties.calls = calls; return event; }`;
    const { result, events } = await run(code, modules);
    expect(result.errors).toEqual([]);
    expect(events[0]?.properties).toMatchObject({ cents: 124, calls: 1 });
  });

  it("is stopped on the fuel of the script that calls it (invariant 4)", async () => {
    const { result } = await run(
      'import { endless } from "endless";\nexport const transform = () => endless();',
      modules,
    );
    expect(result.errors).toEqual([expect.objectContaining({ message: expect.stringMatching(/^ran out of fuel/) })]);
  });

  it("that does not load fails the script that imports it, and the event goes on", async () => {
    const { result, events } = await run('import { x } from "fails";\nexport const transform = () => x;', modules);
    expect(result.errors[0]?.message).toContain("does not load: Error: no");
    expect(events).toHaveLength(1);
  });
});
