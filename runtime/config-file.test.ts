import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseConfig } from "../shared/config.ts";
import { ConfigError } from "../shared/config-error.ts";
import { destinationKinds } from "../workers/deliver/destinations/registry.ts";
import { loadConfigFile, writeExampleConfig } from "./config-file.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headwater-config-"));
  path = join(folder, "headwater.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(team: Record<string, unknown>) {
  writeFileSync(path, JSON.stringify({ teams: [{ id: "acme", tokens: ["phc_acme"], ...team }] }));
}

function refusal(env: Record<string, string> = {}): ConfigError {
  try {
    loadConfigFile(path, env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the file was accepted");
}

const HOOK = { id: "hook", kind: "webhook", url: "https://example.com/in", signing_secret: "env:HOOK_SECRET" };

test("scripts come from files beside the configuration, and secrets from the environment", () => {
  mkdirSync(join(folder, "transforms"));
  const code = "export const transform = (event: Event): Event => event;\n";
  writeFileSync(join(folder, "transforms", "scrub.ts"), code);
  write({ transformations: [{ id: "scrub", file: "transforms/scrub.ts" }], destinations: [HOOK] });
  const body = loadConfigFile(path, { HOOK_SECRET: "s3cret" });
  expect(body).toMatchObject({
    teams: [
      {
        transformations: [{ id: "scrub", file: "transforms/scrub.ts", code }],
        destinations: [{ ...HOOK, signing_secret: "s3cret" }],
      },
    ],
  });
  expect(() => parseConfig(body, destinationKinds)).not.toThrow();
});

test("a secret that lies deeper is resolved too", () => {
  const kafka = {
    id: "central",
    kind: "kafka",
    protocol: "upstash",
    url: "https://kafka.example.com",
    topic: "events",
  };
  write({ destinations: [{ ...kafka, auth: { username: "env:K_USER", password: "env:K_PASS" } }] });
  expect(loadConfigFile(path, { K_USER: "u", K_PASS: "p" })).toMatchObject({
    teams: [{ destinations: [{ auth: { username: "u", password: "p" } }] }],
  });
});

test("a variable that is missing or empty is named with its field", () => {
  write({ destinations: [HOOK] });
  for (const env of [{}, { HOOK_SECRET: "" }]) {
    expect(refusal(env).message).toBe(
      `${path}: teams[0].destinations[0].signing_secret: the environment variable HOOK_SECRET is not set`,
    );
  }
});

test("a script file that is missing is named with its field", () => {
  write({ transformations: [{ id: "scrub", file: "scrub.ts" }] });
  expect(refusal().message).toBe(
    `${path}: teams[0].transformations[0].file: cannot read ${join(folder, "scrub.ts")}: no such file`,
  );
});

test.each([
  [{ id: "scrub" }, "give the script as file or as code"],
  [{ id: "scrub", file: "a.ts", code: "x" }, "give the script as file or as code, not as both"],
])("a script is either a file or code: %j", (transformation, message) => {
  write({ transformations: [transformation] });
  expect(refusal().problems).toEqual([{ path: "teams[0].transformations[0].code", message }]);
});

test("all problems are found at once", () => {
  write({
    lanes: 0,
    transformations: [{ id: "scrub", file: "scrub.ts" }],
    destinations: [HOOK, { id: "hook", kind: "terminal" }],
  });
  const error = refusal();
  expect(error.problems.map((problem) => problem.path).sort()).toEqual([
    "teams[0].destinations[0].signing_secret",
    "teams[0].destinations[1].id",
    "teams[0].lanes",
    "teams[0].transformations[0].file",
  ]);
  expect(error.message).toContain("(and 3 more)");
});

test("text that is not JSON is named by line and column", () => {
  writeFileSync(path, '{\n  "teams": [\n  ],\n}\n');
  expect(refusal().message).toMatch(new RegExp(`^${path}:4:1: not JSON: `));
});

test("a byte order mark is no mistake", () => {
  writeFileSync(path, '\uFEFF{ "teams": [] }');
  expect(loadConfigFile(path, {})).toEqual({ teams: [] });
});

test("a file that is not there, or is a folder, is named", () => {
  expect(refusal().message).toBe(`${path}: cannot be read: no such file`);
  mkdirSync(path);
  expect(refusal().message).toBe(`${path}: cannot be read: it is a folder`);
});

test("the example configuration is valid, has the team acme, and prints", () => {
  writeExampleConfig(path);
  const { teams } = parseConfig(loadConfigFile(path, {}), destinationKinds);
  expect(teams).toHaveLength(1);
  expect(teams[0]).toMatchObject({ id: "acme", tokens: ["phc_acme"] });
  expect(teams[0]?.transformations).toHaveLength(1);
  expect(teams[0]?.destinations).toMatchObject([{ id: "print", kind: "terminal" }]);
});

test("the example never overwrites a file", () => {
  writeFileSync(path, "mine");
  expect(() => writeExampleConfig(path)).toThrow(`${path}: cannot be written: `);
  expect(readFileSync(path, "utf8")).toBe("mine");
});

test.skipIf(process.getuid?.() === 0)(
  "a folder that cannot be written is named (skipped as root, who may write all)",
  () => {
    chmodSync(folder, 0o500);
    expect(() => writeExampleConfig(path)).toThrow(`${path}: cannot be written: permission denied`);
    chmodSync(folder, 0o700);
  },
);
