import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { testCommand } from "../../runtime/cli/test-command.ts";
import type { TestOutcome } from "../../runtime/cli/test-outcome.ts";
import type { Event } from "../../shared/event.ts";
import { freshFolder, type Headwater, startHeadwater } from "./headwater.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

/** What the API takes at once. */
const EVENTS_COUNT = 90;
const CHAIN = [
  {
    id: "plugin",
    code: "export async function processEvent(event, { config }) { event.properties.plan = config.plan; return event; }",
    inputs: { plan: "pro" },
  },
  {
    id: "odd",
    code: `
      import { sha256 } from "headwater:hash";
      import { twice } from "maths";
      export function transform(event) {
        const n = event.properties.n;
        if (n % 7 === 0) return null;
        if (n % 5 === 0) return [event, { ...event, event: "copy", properties: { n: twice(n), "ключ": "🦆\\u2028" } }];
        if (n % 11 === 0) throw new Error("eleven");
        event.properties.hash = sha256(event.distinct_id);
        return event;
      }`,
  },
  {
    id: "batch",
    code: "export const transformBatch = (events) => events.map((e) => (e.properties.n === 13 ? null : e));",
  },
];

const hooks: WebhookSink[] = [];
let headwater: Headwater;
let config: { teams: unknown[] };

beforeAll(async () => {
  for (let i = 0; i < 3; i++) hooks.push(await startWebhookSink());
  const hook = (id: string, i: number, more: object) => ({
    ...{ id, kind: "webhook", url: hooks[i]?.url, ordered: true, batch: { max_wait_ms: 50 } },
    ...more,
  });
  config = {
    teams: [
      {
        id: "acme",
        tokens: ["phc_acme"],
        modules: [{ id: "maths", code: "export const twice = (n: number) => n * 2;" }],
        transformations: CHAIN,
        destinations: [
          hook("plain", 0, {}),
          hook("copies", 1, { filter: { event: { eq: "copy" } } }),
          hook("own", 2, {
            transformation: {
              code: "export const transform = (e) => ({ ...e, properties: { only: e.properties.n } });",
            },
          }),
        ],
      },
    ],
  };
  headwater = await startHeadwater({ config });
});

afterAll(async () => {
  await headwater?.stop();
  await Promise.all(hooks.map((hook) => hook.stop()));
});

/** Byte for byte: the texts of the values, which keep the order of their keys. */
const texts = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value));

it("headwater test, the API and the pipeline give the same answers on the same events", async () => {
  const batch = Array.from({ length: EVENTS_COUNT }, (_, n) => ({
    ...{ event: "order", distinct_id: `user-${n % 4}`, properties: { n, text: `\\ud83e "${n}"` } },
  }));
  expect((await headwater.send({ api_key: "phc_acme", batch })).status).toBe(200);
  await headwater.waitForQuiet("acme", ["plain", "copies", "own"], {});
  const [plain, copies, own] = hooks.map((hook) => texts(hook.deliveries.flatMap(({ events }) => events)));
  expect(plain?.length).toBeGreaterThan(EVENTS_COUNT / 2);
  expect(copies?.length).toBeGreaterThan(5);

  const { samples } = await headwater.api<{ samples: Event[] }>("GET", `/api/teams/acme/samples?limit=${EVENTS_COUNT}`);
  const events = samples.toReversed();
  expect(events).toHaveLength(EVENTS_COUNT);

  const answer = await headwater.api<{
    results: { outputs: unknown[]; became: string; changes: unknown[] }[];
    errors: { script: string; message: string }[];
    destinations: Record<string, unknown[]>;
  }>("POST", "/api/teams/acme/transformations/test", { events });
  expect(texts(answer.destinations.plain ?? [])).toEqual(plain);
  expect(texts(answer.destinations.copies ?? [])).toEqual(copies);
  expect(texts(answer.destinations.own ?? [])).toEqual(own);
  expect(texts(answer.results.flatMap(({ outputs }) => outputs))).toEqual(plain);
  expect(answer.errors).toMatchObject([{ script: "odd", message: expect.stringContaining("eleven") }]);
  expect(answer.results[7]?.became).toBe("dropped");

  const folder = freshFolder();
  writeFileSync(join(folder, "headwater.json"), JSON.stringify(config));
  writeFileSync(join(folder, "live.events.json"), JSON.stringify(events));
  let printed = "";
  const take = (text: string) => {
    printed += text;
  };
  const args = ["--config", join(folder, "headwater.json"), "--update"];
  expect(await testCommand(args, {}, { out: take, err: take }), printed).toBe(0);
  const outcome = JSON.parse(readFileSync(join(folder, "live.expected.json"), "utf8")) as TestOutcome;
  expect(texts(outcome.events)).toEqual(plain);
  expect(texts(outcome.destinations?.copies ?? [])).toEqual(copies);
  expect(texts(outcome.destinations?.own ?? [])).toEqual(own);
});

it("a draft is tried on the team's own newest events, and nothing of it is delivered", async () => {
  const before = hooks.map(({ deliveries }) => deliveries.length);
  const draft = {
    code: "export function transform(event, ctx) { ctx.log(event.event); event.properties.n += ctx.inputs.by; return event; }",
  };
  const answer = await headwater.api<{
    results: { input: Event; changes: { path: string; before: number; after: number }[] }[];
    logs: { text: string }[];
    fuel: { script: string; steps: number }[];
  }>("POST", "/api/teams/acme/transformations/test", { ...draft, inputs: { by: 1000 }, samples: 3 });
  expect(answer.results).toHaveLength(3);
  for (const { input, changes } of answer.results) {
    const n = input.properties.n as number;
    expect(changes).toEqual([{ path: "properties.n", before: n, after: n + 1000 }]);
  }
  expect(answer.logs.map(({ text }) => text)).toEqual(["order", "order", "order"]);
  expect(answer.fuel[0]).toMatchObject({ script: "draft", events: 3 });
  expect(hooks.map(({ deliveries }) => deliveries.length)).toEqual(before);
});

it("a draft that does not compile, or never ends inside one step, is answered with what is wrong with it", async () => {
  const ask = (code: string) =>
    fetch(`${headwater.console}/api/teams/acme/transformations/test`, {
      method: "POST",
      headers: { authorization: `Bearer ${headwater.adminToken}` },
      body: JSON.stringify({ code, events: [{ event: "a" }] }),
    });
  const broken = await ask("export function transform(event) {\n  return fetch('https://example.com');\n}");
  expect(broken.status).toBe(422);
  expect(await broken.json()).toMatchObject({
    code: "config_invalid",
    errors: [{ path: "code", message: expect.stringContaining("fetch"), frame: expect.stringContaining("> 2") }],
  });
  const hostile = await ask(`export function transform(event) { /^(a+)+$/.test("${"a".repeat(40)}b"); return event; }`);
  expect(hostile.status).toBe(422);
  expect(await hostile.json()).toMatchObject({ code: "script_killed" });
  // Until the sandbox is there again, it says so.
  await expect
    .poll(async () => (await ask("export const transform = (event) => event;")).status, { timeout: 10_000 })
    .toBe(200);
});
