import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { projectRoot } from "../project.ts";
import { testCommand } from "./test-command.ts";

const SCRUB =
  "export function transform(event, ctx) { for (const f of ctx.inputs.fields) delete event.properties[f]; return event; }";
const SHAPE =
  'export function transform(event) { return { body: { name: event.event }, headers: { "x-kind": "test" } }; }';
const CONFIG = {
  teams: [
    {
      id: "acme",
      tokens: ["phc_acme"],
      transformations: [
        { id: "scrub", file: "scrub.ts", inputs: { fields: ["email"] } },
        { id: "drop", code: 'export function transform(event) { return event.event === "noise" ? null : event; }' },
      ],
      destinations: [
        { id: "print", kind: "terminal" },
        { id: "paid", kind: "terminal", filter: { property: "plan", eq: "pro" } },
        {
          id: "hook",
          kind: "webhook",
          url: "https://example.com",
          signing_secret: "env:NOT_SET_ANYWHERE",
          transformation: { code: SHAPE },
        },
      ],
    },
  ],
};

let folder: string;
let printed: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headwater-test-"));
  printed = "";
  write("headwater.json", CONFIG);
  write("scrub.ts", SCRUB);
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: unknown): void {
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
}

const read = (name: string) => JSON.parse(readFileSync(join(folder, name), "utf8"));

function run(...args: string[]): Promise<number> {
  const take = (text: string) => {
    printed += text;
  };
  return testCommand(["--config", join(folder, "headwater.json"), ...args], {}, { out: take, err: take });
}

test("a fixture passes on its second run, and says where it fails after a change", async () => {
  write("all.events.json", [
    { event: "signup", properties: { email: "a@b.c", plan: "pro" } },
    { event: "noise" },
    { event: "login", properties: { plan: "free" } },
  ]);
  expect(await run()).toBe(1);
  expect(printed).toContain("--update writes it");
  expect(await run("--update")).toBe(0);
  const outcome = read("all.expected.json");
  expect(outcome.events.map((event: { properties: unknown }) => event.properties)).toEqual([
    { plan: "pro" },
    { plan: "free" },
  ]);
  expect(outcome.dropped).toEqual([1]);
  expect(outcome.destinations.paid).toHaveLength(1);
  expect(outcome.destinations.hook[0].$request).toEqual({ body: { name: "signup" }, headers: { "x-kind": "test" } });
  expect(await run()).toBe(0);
  write("scrub.ts", SCRUB.replace("return event;", "event.properties.plan = 'x'; return event;"));
  printed = "";
  expect(await run()).toBe(1);
  expect(printed).toContain('events[0].properties.plan: expected "pro", got "x"');
}, 120_000);

test("a fixture of one transformation runs that one alone", async () => {
  write("one.events.json", { transformation: "scrub", events: [{ event: "noise", properties: { email: 1, a: 2 } }] });
  expect(await run("--update")).toBe(0);
  expect(read("one.expected.json")).toMatchObject({ events: [{ event: "noise", properties: { a: 2 } }] });
  expect(read("one.expected.json")).not.toHaveProperty("destinations");
});

test("what cannot be run is a failure of that fixture, with its reason", async () => {
  write("bad.events.json", '[{"name":"a"}]');
  write("team.events.json", { team: "globex", events: [{ event: "a" }] });
  write("good.events.json", { transformation: "drop", events: [{ event: "noise" }] });
  write("good.expected.json", { events: [], dropped: [0] });
  expect(await run("--json")).toBe(1);
  const results = printed
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(results.map(({ passed, problems }) => [passed, problems[0] ?? ""])).toEqual([
    [false, expect.stringContaining("[0].event: every event needs its name")],
    [true, ""],
    [false, expect.stringContaining('there is no team "globex"')],
  ]);
});

test("parts that are empty may be listed or left out, as in the examples of templates", async () => {
  write("good.events.json", [{ event: "a", properties: { plan: "free" } }]);
  expect(await run("--update")).toBe(0);
  write("good.expected.json", { ...read("good.expected.json"), dropped: [], errors: [], quarantined: [] });
  expect(await run()).toBe(0);
  write("good.expected.json", { ...read("good.expected.json"), dropped: [0] });
  expect(await run()).toBe(1);
});

test("a script that does not compile is shown with its line, and nothing else is run", async () => {
  write("scrub.ts", "export function transform(event) {\n  return event +;\n}");
  write("a.events.json", [{ event: "a" }]);
  expect(await run()).toBe(1);
  expect(printed).toContain("line 2");
});

test("no fixtures, and a configuration that is wrong, are not failures of scripts", async () => {
  expect(await run()).toBe(2);
  expect(printed).toContain("there is no fixture");
  write("headwater.json", { teams: [{ id: "acme" }] });
  write("a.events.json", []);
  expect(await run()).toBe(2);
  expect(printed).toContain("needs at least one token");
});

test("--watch runs again after a change, also one that comes during its first run", async () => {
  write("a.events.json", { transformation: "scrub", events: [{ event: "a", properties: { email: 1 } }] });
  expect(await run("--update")).toBe(0);
  const config = join(folder, "headwater.json");
  const watching = spawn(process.execPath, [
    join(projectRoot, "runtime/cli/headwater.ts"),
    "test",
    "--watch",
    "--config",
    config,
  ]);
  try {
    let text = "";
    const said = (what: string) =>
      new Promise<void>((resolve) => {
        watching.stdout.on("data", (part) => {
          text += part;
          if (text.includes(what)) resolve();
        });
      });
    const [first, second] = [said("ok "), said('expected "a", got "b"')];
    await first;
    write("scrub.ts", SCRUB.replace("return event;", "event.event = 'b'; return event;"));
    await second;
  } finally {
    watching.kill();
  }
  // It stops its sandbox first, and then has nothing left to wait for.
  expect(await new Promise((resolve) => watching.once("exit", resolve))).toBe(130);
}, 60_000);
