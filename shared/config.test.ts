import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { destinationKinds } from "../workers/deliver/destinations/registry.ts";
import { parseConfig, tokensIn } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { configJsonSchema } from "./config-json-schema.ts";

// biome-ignore lint/suspicious/noExplicitAny: tests break the document in ways that no type allows
type Loose = any;

function aDocument(): Loose {
  return {
    $schema: "./schema/headwater.schema.json",
    teams: [
      {
        id: "acme",
        name: "Acme",
        tokens: ["phc_acme", "phc_second"],
        lanes: 4,
        transformations: [
          {
            id: "scrub",
            file: "scrub.ts",
            code: "export const transform = (event) => event;",
            on_error: "pass",
            inputs: { fields: ["email"] },
          },
        ],
        destinations: [
          {
            id: "hook",
            kind: "webhook",
            url: "https://example.com/in",
            signing_secret: "any text is a secret",
            filter: { all: [{ event: { in: ["signup"] } }, { property: "plan", eq: "pro" }] },
          },
          { id: "print", kind: "terminal" },
        ],
      },
      { id: "globex", tokens: ["phc_globex"] },
    ],
  };
}

function problemsOf(value: unknown): readonly { path: string; message: string }[] {
  try {
    parseConfig(value, destinationKinds);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test("a valid document parses, with defaults filled in", () => {
  const { teams } = parseConfig(aDocument(), destinationKinds);
  expect(teams[0]?.destinations[0]).toMatchObject({ id: "hook", kind: "webhook", method: "POST" });
  expect(teams[1]).toEqual({
    ...{ id: "globex", tokens: ["phc_globex"], lanes: 1 },
    ...{ sources: [], restrictions: [], modules: [], transformations: [], destinations: [] },
  });
});

test("what was parsed parses again to the same", () => {
  const once = parseConfig(aDocument(), destinationKinds);
  expect(parseConfig(structuredClone(once), destinationKinds)).toEqual(once);
});

function withSource(document: Loose, source: Loose): void {
  document.teams[0].sources = [{ id: "web", tokens: ["phc_web"], ...source }];
}

type Break = [what: string, breakIt: (document: Loose) => void, path: string, message: RegExp];

test.each<Break>([
  ["no teams", (d) => delete d.teams, "teams", /^is missing: expected array/],
  ["an unknown field at the top", (d) => (d.team = []), "team", /^unknown field/],
  ["a field of a later version", (d) => (d.teams[0].alerts = {}), "teams[0].alerts", /does not have this yet/],
  ["a team without id", (d) => delete d.teams[0].id, "teams[0].id", /^is missing: expected string/],
  ["a team id with a colon", (d) => (d.teams[0].id = "a:b"), "teams[0].id", /^lower-case letters/],
  ["a team id in capitals", (d) => (d.teams[0].id = "Acme"), "teams[0].id", /^lower-case letters/],
  ["a team id that every object has", (d) => (d.teams[0].id = "constructor"), "teams[0].id", /reserved/],
  ["a team id used twice", (d) => (d.teams[1].id = "acme"), "teams[1].id", /"acme" is used already, at teams\[0\]\.id/],
  ["no tokens", (d) => (d.teams[0].tokens = []), "teams[0].tokens", /at least one/],
  [
    "a source with a token of a team",
    (d) => withSource(d, { tokens: ["phc_globex"] }),
    "teams[1].tokens[0]",
    /at teams\[0\]/,
  ],
  ["a source of an unknown protocol", (d) => withSource(d, { protocol: "ftp" }), "teams[0].sources[0].protocol", /any/],
  [
    "an origin with a path",
    (d) => withSource(d, { origins: ["https://a.b/c"] }),
    "teams[0].sources[0].origins[0]",
    /origin/,
  ],
  [
    "an origin with a port that no browser sends",
    (d) => withSource(d, { origins: ["https://a.b:443"] }),
    "teams[0].sources[0].origins[0]",
    /leave out the port/,
  ],
  [
    "a Standard Webhooks secret that is no base64",
    (d) => withSource(d, { protocol: "webhook", verify: { scheme: "standard-webhooks", secret: "whsec_not.base64" } }),
    "teams[0].sources[0].verify.secret",
    /base64/,
  ],
  [
    "a webhook source's id that is a token",
    (d) => {
      withSource(d, { id: "hook-in", tokens: [], protocol: "webhook" });
      d.teams[1].tokens = ["hook-in"];
    },
    "teams[1].tokens[0]",
    /at teams\[0\]\.sources\[0\]\.id/,
  ],
  [
    "a credential that nobody resolved",
    (d) => (d.teams[0].transformations[0].credentials = { key: "env:KEY" }),
    "teams[0].transformations[0].credentials.key",
    /command line/,
  ],
  ["an empty token", (d) => (d.teams[0].tokens[1] = ""), "teams[0].tokens[1]", /^is empty/],
  ["a long token", (d) => (d.teams[0].tokens[1] = "t".repeat(65)), "teams[0].tokens[1]", /longer than 64 bytes/],
  ["a token beyond ASCII", (d) => (d.teams[0].tokens[1] = "phc_ä"), "teams[0].tokens[1]", /ASCII/],
  ["a token with NUL", (d) => (d.teams[0].tokens[1] = "phc_\0"), "teams[0].tokens[1]", /ASCII/],
  ["a token with spaces around", (d) => (d.teams[0].tokens[1] = " phc_a"), "teams[0].tokens[1]", /spaces/],
  ["a personal API key", (d) => (d.teams[0].tokens[1] = "phx_a"), "teams[0].tokens[1]", /personal API key/],
  ["a token of another team", (d) => (d.teams[1].tokens[0] = "phc_acme"), "teams[1].tokens[0]", /at teams\[0\]/],
  ["a token that is a number", (d) => (d.teams[0].tokens[0] = 7), "teams[0].tokens[0]", /expected string/],
  ["no lanes", (d) => (d.teams[0].lanes = 0), "teams[0].lanes", />=1/],
  ["too many lanes", (d) => (d.teams[0].lanes = 65), "teams[0].lanes", /<=64/],
  ["half a lane", (d) => (d.teams[0].lanes = 1.5), "teams[0].lanes", /int/],
  [
    "a script without code",
    (d) => delete d.teams[0].transformations[0].code,
    "teams[0].transformations[0].code",
    /`code`/,
  ],
  [
    "an unknown policy",
    (d) => (d.teams[0].transformations[0].on_error = "x"),
    "teams[0].transformations[0].on_error",
    /pass/,
  ],
  [
    "inputs that are a list",
    (d) => (d.teams[0].transformations[0].inputs = []),
    "teams[0].transformations[0].inputs",
    /record/,
  ],
  [
    "two scripts of one id",
    (d) => d.teams[0].transformations.push(d.teams[0].transformations[0]),
    "teams[0].transformations[1].id",
    /used already, at teams\[0\]\.transformations\[0\]\.id/,
  ],
  [
    "two destinations of one id",
    (d) => (d.teams[0].destinations[1].id = "hook"),
    "teams[0].destinations[1].id",
    /used already/,
  ],
  [
    "a destination that is text",
    (d) => (d.teams[0].destinations[1] = "hook"),
    "teams[0].destinations[1]",
    /expected an object/,
  ],
  [
    "no kind",
    (d) => delete d.teams[0].destinations[1].kind,
    "teams[0].destinations[1].kind",
    /is missing: one of webhook/,
  ],
  [
    "an unknown kind",
    (d) => (d.teams[0].destinations[1].kind = "ftp"),
    "teams[0].destinations[1].kind",
    /unknown kind.*webhook/,
  ],
  ["no url", (d) => delete d.teams[0].destinations[0].url, "teams[0].destinations[0].url", /http/],
  ["a url that is none", (d) => (d.teams[0].destinations[0].url = "example"), "teams[0].destinations[0].url", /http/],
  [
    "an unknown setting",
    (d) => (d.teams[0].destinations[0].retries = 1),
    "teams[0].destinations[0].retries",
    /^unknown field/,
  ],
  [
    "an unknown setting inside a setting",
    (d) => (d.teams[0].destinations[0].batch = { size: 1 }),
    "teams[0].destinations[0].batch.size",
    /^unknown field/,
  ],
  [
    "a destination without id",
    (d) => delete d.teams[0].destinations[1].id,
    "teams[0].destinations[1].id",
    /^is missing/,
  ],
  [
    "a misspelt operator",
    (d) => (d.teams[0].destinations[0].filter.all[1] = { property: "plan", eq: 1, eqq: 1 }),
    "teams[0].destinations[0].filter.all[1].eqq",
    /^unknown field/,
  ],
  [
    "an operand of the wrong type",
    (d) => (d.teams[0].destinations[0].filter.all[0] = { event: { in: "signup" } }),
    "teams[0].destinations[0].filter.all[0].event.in",
    /expected array/,
  ],
  [
    "an operand that is an object",
    (d) => (d.teams[0].destinations[0].filter.all[0] = { event: { eq: {} } }),
    "teams[0].destinations[0].filter.all[0].event.eq",
    /expected string or number or boolean or null/,
  ],
  [
    "a variable that nobody resolved",
    (d) => (d.teams[0].destinations[0].signing_secret = "env:HOOK_SECRET"),
    "teams[0].destinations[0].signing_secret",
    /command line/,
  ],
])("%s is refused, with its path", (_what, breakIt, path, message) => {
  const document = aDocument();
  breakIt(document);
  const problems = problemsOf(document);
  expect(problems).toContainEqual({ path, message: expect.stringMatching(message) });
  expect(problems).toHaveLength(1);
});

test.each([[null], [[]], ["text"], [7]])("%j is no document", (value) => {
  expect(problemsOf(value)).toEqual([{ path: "", message: expect.stringContaining("expected object") }]);
});

test("every problem is listed, and the message has the first", () => {
  const document = aDocument();
  document.teams[0].lanes = 0;
  document.teams[0].destinations[0].url = 7;
  document.teams[1].tokens = ["phc_acme"];
  document.teams[1].destinations = [{ id: "x y", kind: "ftp" }];
  const problems = problemsOf(document);
  expect(problems.map(({ path }) => path).sort()).toEqual([
    "teams[0].destinations[0].url",
    "teams[0].lanes",
    "teams[1].destinations[0].id",
    "teams[1].destinations[0].kind",
    "teams[1].tokens[0]",
  ]);
  const [first] = problems;
  expect(new ConfigError(problems)).toMatchObject({
    status: 422,
    code: "config_invalid",
    field: first?.path,
    message: `${first?.path}: ${first?.message} (and 4 more)`,
  });
});

test("the published JSON Schema is the one that the code makes (`npm run schema` writes it)", () => {
  const path = join(import.meta.dirname, "..", "schema", "headwater.schema.json");
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(
    JSON.parse(JSON.stringify(configJsonSchema(destinationKinds))),
  );
});

test("the JSON Schema knows scripts in files, references to variables, and the settings of each kind", () => {
  const schema: Loose = configJsonSchema(destinationKinds);
  const team = schema.properties.teams.items;
  expect(team.required).toEqual(["id"]);
  expect(team.properties.transformations.items.required).toEqual(["id"]);
  expect(team.properties.transformations.items.oneOf).toEqual([{ required: ["file"] }, { required: ["code"] }]);
  expect(team.properties.destinations.items.properties.kind.enum).toEqual(destinationKinds.map(({ kind }) => kind));
  const webhook = schema.$defs.webhook;
  expect(webhook.additionalProperties).toBe(false);
  expect(webhook.required).toEqual(["id", "kind", "url"]);
  expect(Object.keys(webhook.properties)).toEqual(expect.arrayContaining(["id", "kind", "filter", "url", "batch"]));
  expect(webhook.properties.signing_secret.anyOf[0].pattern).toMatch(/env:/);
  expect(team.properties.sources.items.properties.verify.properties.secret.anyOf[0].pattern).toMatch(/env:/);
  expect(webhook.properties.transformation.oneOf).toEqual([{ required: ["file"] }, { required: ["code"] }]);
  expect(webhook.properties.transformation.properties.credentials.additionalProperties.anyOf[0].pattern).toMatch(
    /env:/,
  );
});

test("a source of webhooks without tokens is one of the ways to a team", () => {
  const team = { id: "acme", sources: [{ id: "stripe", protocol: "webhook" }] };
  expect(problemsOf({ teams: [team] })).toEqual([]);
  expect([...tokensIn(team)]).toEqual([["sources[0].id", "stripe"]]);
});

test.each([
  "*",
  "https://example.com",
  "https://*.example.com:8443",
  "http://[::1]:3000",
  "capacitor://localhost",
  "chrome-extension://abcdefghijklmnop",
  "http://a.b:443",
])("%s is an origin", (origin) => {
  const document = aDocument();
  withSource(document, { origins: [origin] });
  expect(parseConfig(document, destinationKinds).teams[0]?.sources[0]?.origins).toEqual([origin]);
});

test("every reference in the JSON Schema leads somewhere", () => {
  const schema = configJsonSchema(destinationKinds);
  const references = [...JSON.stringify(schema).matchAll(/"\$ref":"([^"]*)"/g)].map(([, target]) => target as string);
  expect(references.length).toBeGreaterThan(destinationKinds.length);
  for (const reference of references) {
    expect(Object.keys(schema.$defs as object)).toContain(reference.replace("#/$defs/", ""));
  }
});
