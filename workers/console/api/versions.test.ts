import { beforeEach, expect, test } from "vitest";
import { type TestConsole, testConsole } from "../../../shared/testing/test-console.ts";

const SECRETS = [`whsec_${btoa("1".repeat(32))}`, `whsec_${btoa("2".repeat(32))}`] as const;
const script = (id: string, mark: string) => ({
  id,
  code: `export function transform(event) { event.properties.mark = "${mark}"; return event; }`,
});
const hook = (signing_secret: string) => ({ id: "hook", kind: "webhook", url: "https://example.com", signing_secret });
const aTeam = (overrides: Record<string, unknown>) => ({ id: "acme", tokens: ["phc_acme"], ...overrides });

let console_: TestConsole;
const put = (...teams: unknown[]) => console_.ask("PUT", "/api/config", { teams });
const config = async () => (await console_.ask("GET", "/api/config")).body;
const rollBack = (body: unknown) => console_.ask("POST", "/api/teams/acme/rollback", body);

beforeEach(async () => {
  console_ = testConsole();
  await put(aTeam({ transformations: [script("a", "1"), script("b", "1")], destinations: [hook(SECRETS[0])] }));
  await put(aTeam({ transformations: [script("a", "2"), script("b", "1")], destinations: [hook(SECRETS[0])] }));
  await put(
    aTeam({ lanes: 2, transformations: [script("a", "2"), script("b", "3")], destinations: [hook(SECRETS[1])] }),
  );
});

test("versions are listed newest first, each with what it changed", async () => {
  const { body } = await console_.ask("GET", "/api/teams/acme/versions");
  expect(body.next).toBeNull();
  expect(body.versions).toMatchObject([
    { version: 3, in_force: true },
    { version: 2, in_force: false, changes: [{ path: "transformations.a.code" }] },
    { version: 1, in_force: false, changes: [{ path: "", before: null }] },
  ]);
  const changed = body.versions[0].changes.map(({ path }: { path: string }) => path).sort();
  expect(changed).toEqual(["destinations.hook.signing_secret", "lanes", "transformations.b.code"]);
});

test("pages of versions meet, and a version's changes do not depend on the page", async () => {
  const whole = (await console_.ask("GET", "/api/teams/acme/versions")).body.versions;
  const first = (await console_.ask("GET", "/api/teams/acme/versions?limit=2")).body;
  const second = (await console_.ask("GET", `/api/teams/acme/versions?limit=2&before=${first.next}`)).body;
  expect([...first.versions, ...second.versions]).toEqual(whole);
  expect(second.next).toBeNull();
});

test("the versions of one script are those that changed it", async () => {
  const { body } = await console_.ask("GET", "/api/teams/acme/versions?transformation=b");
  expect(body.versions.map(({ version }: { version: number }) => version)).toEqual([3, 1]);
});

test("a version is shown whole, with masks, against the one in force or any other", async () => {
  const { body, text } = await console_.ask("GET", "/api/teams/acme/versions/1");
  expect(text).not.toContain("whsec_");
  expect(body).toMatchObject({ version: 1, against: 3, in_force: false, config: { lanes: 1 } });
  expect(body.changes.map(({ path }: { path: string }) => path)).toContain("transformations.a.code");
  const { body: other } = await console_.ask("GET", "/api/teams/acme/versions/1?against=2");
  expect(other.changes).toMatchObject([{ path: "transformations.a.code" }]);
});

test("a team goes back to an earlier version as a new one, with the secrets of now", async () => {
  const before = (await console_.db.prepare("SELECT sealed FROM secrets").all()).results;
  const answer = await rollBack({ version: 1 });
  expect(answer.body).toMatchObject({ changed: true, teams: { acme: { version: 4 } } });
  const { teams } = await config();
  expect(teams[0].lanes).toBe(1);
  expect(teams[0].transformations[0].code).toContain('"1"');
  expect((await console_.db.prepare("SELECT sealed FROM secrets").all()).results).toEqual(before);
  expect((await rollBack({ version: 1 })).body.changed).toBe(false);
});

test("one script goes back alone", async () => {
  await rollBack({ version: 1, transformation: "a" });
  const { teams } = await config();
  expect(teams[0].lanes).toBe(2);
  expect(teams[0].transformations.map(({ code }: { code: string }) => code.match(/"(\d)"/)?.[1])).toEqual(["1", "3"]);
});

test("other teams stay as they are", async () => {
  const team = await config();
  await put(...team.teams, { id: "globex", tokens: ["phc_globex"] });
  await rollBack({ version: 1 });
  expect((await config()).teams.map(({ id }: { id: string }) => id)).toEqual(["acme", "globex"]);
});

test("a document that was read can be sent back, and changes nothing", async () => {
  const document = await config();
  expect((await console_.ask("PUT", "/api/config", document)).body).toEqual({
    changed: false,
    teams: {},
    warnings: [],
  });
});

test("a mask of no stored secret is refused, with its path", async () => {
  const answer = await put(aTeam({ destinations: [hook("sealed:000000000000")] }));
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toEqual([
    { path: "teams[0].destinations[0].signing_secret", message: expect.stringContaining("mask of no stored secret") },
  ]);
});

test.each([
  [{ version: 9 }, 404, "version_unknown"],
  [{ version: 1, transformation: "zzz" }, 404, "transformation_unknown"],
  [{ version: 0 }, 400, "invalid_request"],
  [{}, 400, "invalid_request"],
])("%j is answered with what is wrong", async (body, status, code) => {
  const answer = await rollBack(body);
  expect(answer.status).toBe(status);
  expect(answer.body.code).toBe(code);
});

test.each(["/api/teams/acme/versions/9", "/api/teams/acme/versions/x", "/api/teams/nobody/versions"])(
  "%s is a 404",
  async (path) => {
    expect((await console_.ask("GET", path)).status).toBe(404);
  },
);
