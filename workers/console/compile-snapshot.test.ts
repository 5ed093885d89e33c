import { expect, test } from "vitest";
import { parseConfig, type TeamConfig } from "../../shared/config.ts";
import { destinationKinds } from "../deliver/destinations/registry.ts";
import { compileBundle } from "../transform/compile.ts";
import { compileSnapshot } from "./compile-snapshot.ts";

const SECRETS = ["hook secret", "Bearer hook", "kafka user", "kafka password"];

function aTeam(overrides: Record<string, unknown> = {}): TeamConfig {
  const team = {
    id: "acme",
    tokens: ["phc_acme"],
    lanes: 2,
    transformations: [{ id: "scrub", file: "scrub.ts", code: "export const transform = (event: object) => event;" }],
    destinations: [
      { id: "hook", kind: "webhook", url: "https://a.example", signing_secret: SECRETS[0], authorization: SECRETS[1] },
      {
        id: "central",
        kind: "kafka",
        protocol: "upstash",
        url: "https://b.example",
        topic: "events",
        auth: { username: SECRETS[2], password: SECRETS[3] },
        filter: { event: { eq: "signup" } },
      },
    ],
    ...overrides,
  };
  return parseConfig({ teams: [team] }, destinationKinds).teams[0] as TeamConfig;
}

function compile(team: TeamConfig) {
  return compileSnapshot(team, 7, destinationKinds, compileBundle, []);
}

test("a snapshot has the team's lanes, tokens, scripts and destinations", async () => {
  const snapshot = await compile(aTeam());
  expect(snapshot).toMatchObject({ team: "acme", version: 7, lanes: 2, tokens: ["phc_acme"] });
  expect(snapshot.bundle).toMatchObject({ team: "acme", scripts: [{ id: "scrub", on_error: "pass", inputs: {} }] });
  expect(snapshot.bundle?.filters).toEqual({ central: { event: { eq: "signup" } } });
  expect(snapshot.destinations.map(({ id }) => id)).toEqual(["hook", "central"]);
});

test("invariant 8: no secret of any kind is in a snapshot, and other settings are", async () => {
  const snapshot = await compile(aTeam());
  const text = JSON.stringify(snapshot);
  for (const secret of SECRETS) expect(text).not.toContain(secret);
  expect(snapshot.destinations[0]?.settings).toMatchObject({ url: "https://a.example", method: "POST" });
  expect(snapshot.destinations[0]?.settings).not.toHaveProperty("id");
  expect(snapshot.destinations[1]?.settings).not.toHaveProperty("filter");
});

test("a team with neither scripts nor filters has no bundle", async () => {
  const snapshot = await compile(aTeam({ transformations: [], destinations: [{ id: "print", kind: "terminal" }] }));
  expect(snapshot.bundle).toBeNull();
});

test("a filter alone makes a bundle", async () => {
  const destinations = [{ id: "print", kind: "terminal", filter: { event: { eq: "a" } } }];
  expect((await compile(aTeam({ transformations: [], destinations }))).bundle?.filters).toHaveProperty("print");
});

test("the same team compiles to the same snapshot", async () => {
  expect(await compile(aTeam())).toEqual(await compile(aTeam()));
});

test("a team that is too large for the edge is refused, and named", async () => {
  const inputs = { text: "x".repeat(1_300_000) };
  const team = aTeam({ transformations: [{ id: "big", code: "export const transform = (event) => event;", inputs }] });
  await expect(compile(team)).rejects.toMatchObject({ code: "team_too_large", status: 422, message: /team acme/ });
});
