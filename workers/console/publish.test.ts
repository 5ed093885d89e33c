import { beforeEach, expect, test } from "vitest";
import { createSnapshotReader } from "../../shared/snapshot-reader.ts";
import { aBook, type TestConsole, testConsole } from "../../shared/testing/test-console.ts";
import { isVersionConflict } from "./config-store.ts";

const SECRET = "whsec_bXkgdmVyeSBzZWNyZXQga2V5IGZvciB0ZXN0cw==";
const CODE = "export function transform(event) { return event; }";
const SCRUB = { id: "scrub", code: CODE };
const HOOK = { id: "hook", kind: "webhook", url: "https://example.com/in", signing_secret: SECRET };
const PRINT = { id: "print", kind: "terminal" };

function aTeam(overrides: Record<string, unknown> = {}) {
  return { id: "acme", tokens: ["phc_acme"], transformations: [SCRUB], destinations: [HOOK, PRINT], ...overrides };
}

let test_: TestConsole;
beforeEach(() => {
  test_ = testConsole();
});

function put(teams: unknown[], query = "") {
  return test_.ask("PUT", `/api/config${query}`, { teams });
}

function reader() {
  return createSnapshotReader({ kv: test_.kv, db: test_.db, clock: test_.clock });
}

test("a first document makes version 1, and the edge can read it", async () => {
  const answer = await put([aTeam()]);
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({
    changed: true,
    teams: { acme: { version: 1, changes: [{ path: "", before: null, after: { id: "acme" } }] } },
    warnings: [],
  });
  expect(await reader().token("phc_acme")).toEqual({ team: "acme", lanes: 1, version: 1 });
  const snapshot = await reader().team("acme");
  expect(snapshot).toMatchObject({ team: "acme", version: 1, tokens: ["phc_acme"], bundle: { team: "acme" } });
  expect(snapshot?.destinations.map(({ id, kind }) => ({ id, kind }))).toEqual([
    { id: "hook", kind: "webhook" },
    { id: "print", kind: "terminal" },
  ]);
});

test("KV and D1 hold the same snapshot", async () => {
  await put([aTeam()]);
  const fromKv = await reader().team("acme");
  test_.kv.entries.clear();
  expect(await reader().team("acme")).toEqual(fromKv);
  expect(await reader().token("phc_acme")).toEqual({ team: "acme", lanes: 1, version: 1 });
});

test("the same document again changes nothing, in D1, KV and the objects", async () => {
  await put([aTeam()]);
  await test_.lane("acme", { lane: "acme:0" });
  test_.kv.calls.length = 0;
  const answer = await put([aTeam()]);
  expect(answer.body).toEqual({ changed: false, teams: {}, warnings: [] });
  expect(test_.kv.calls).toEqual(["get team:acme"]);
  expect(test_.calls).toEqual([]);
  expect((await test_.db.prepare("SELECT version FROM team_versions").all()).results).toEqual([{ version: 1 }]);
});

test("a change makes the next version, keeps the old one, and wakes the team's objects", async () => {
  await put([aTeam(), { id: "globex", tokens: ["phc_globex"] }]);
  await test_.lane("acme", { lane: "acme:0" });
  await test_.lane("globex", { lane: "globex:0" });
  await test_.outbox("acme", "hook", {});
  const answer = await put([aTeam({ lanes: 2 }), { id: "globex", tokens: ["phc_globex"] }]);
  expect(answer.body).toEqual({
    changed: true,
    teams: { acme: { version: 2, changes: [{ path: "lanes", before: 1, after: 2 }] } },
    warnings: [],
  });
  expect(test_.calls).toEqual(["wake acme/hook", "wake acme:0"]);
  expect(await reader().token("phc_acme")).toEqual({ team: "acme", lanes: 2, version: 2 });
  const versions = await test_.db
    .prepare("SELECT version FROM team_versions WHERE team = 'acme' ORDER BY version")
    .all();
  expect(versions.results).toEqual([{ version: 1 }, { version: 2 }]);
});

test("invariant 8: a secret is nowhere in the clear, neither in answers nor in D1 nor in KV", async () => {
  const answers = [await put([aTeam()])];
  const changed = `${SECRET.slice(0, -4)}AA==`;
  answers.push(await put([aTeam({ destinations: [{ ...HOOK, signing_secret: changed }, PRINT] })]));
  answers.push(await test_.ask("GET", "/api/config"), await test_.ask("GET", "/api/teams/acme/destinations"));
  const rows = await test_.db.prepare("SELECT config, snapshot FROM team_versions").all();
  const sealed = await test_.db.prepare("SELECT * FROM secrets").all();
  const everything = JSON.stringify([answers.map(({ text }) => text), rows, sealed, [...test_.kv.entries]]);
  expect(everything).not.toContain(SECRET);
  expect(everything).not.toContain(changed);
  expect(sealed.results).toEqual([
    { team: "acme", owner: "hook", field: "signing_secret", sealed: expect.any(String) },
  ]);
  const mask = expect.stringMatching(/^sealed:[0-9a-f]{12}$/);
  expect(answers[1]?.body.teams.acme.changes).toEqual([
    { path: "destinations.hook.signing_secret", before: mask, after: mask },
  ]);
});

test("invariant 8: secrets of sources and scripts reach the edge sealed only", async () => {
  const plain = ["source-secret-1", "script-secret-2", "shaper-secret-3"] as const;
  const sources = [
    { id: "gh", protocol: "webhook", verify: { scheme: "github", secret: plain[0] } },
    { id: "web", tokens: ["phc_web"], ip: "mask" },
  ];
  const transformations = [{ ...SCRUB, credentials: { key: plain[1] } }];
  const code = "export function transform(event) { return event; }";
  const destinations = [{ ...PRINT, transformation: { code, credentials: { key: plain[2] } } }];
  const answer = await put([aTeam({ sources, transformations, destinations })]);
  expect(answer.status).toBe(200);
  const config = await test_.ask("GET", "/api/config");
  const rows = await test_.db.prepare("SELECT config, snapshot FROM team_versions").all();
  const everything = JSON.stringify([answer.text, config.text, rows, [...test_.kv.entries]]);
  for (const secret of plain) expect(everything).not.toContain(secret);
  const owners = (await test_.db.prepare("SELECT owner, field FROM secrets ORDER BY owner").all()).results;
  expect(owners).toEqual([
    { owner: "destination:print", field: "credentials.key" },
    { owner: "source:gh", field: "verify.secret" },
    { owner: `transformation:${SCRUB.id}`, field: "credentials.key" },
  ]);
  const snapshot = await reader().team("acme");
  expect(snapshot?.bundle?.scripts[0]?.credentials).toEqual({ key: expect.any(String) });
  expect(snapshot?.bundle?.shapers?.print?.credentials).toEqual({ key: expect.any(String) });
  expect(await reader().token("gh")).toMatchObject({ source: { id: "gh", verify: { sealed: expect.any(String) } } });
  expect(await reader().token("phc_web")).toMatchObject({ source: { id: "web", ip: "mask", protocol: "any" } });
  expect(await reader().token("phc_acme")).not.toHaveProperty("source");
});

test("the snapshot has no secret field at all", async () => {
  await put([aTeam()]);
  const snapshot = await reader().team("acme");
  expect(snapshot?.destinations[0]?.settings).toMatchObject({ url: HOOK.url });
  expect(snapshot?.destinations[0]?.settings).not.toHaveProperty("signing_secret");
});

test("a document with anything wrong changes nothing, and every problem is answered", async () => {
  await put([aTeam()]);
  const answer = await put([aTeam({ lanes: 2 }), { id: "globex", tokens: [], plan: "x" }]);
  expect(answer.status).toBe(422);
  expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
  expect(answer.body).toMatchObject({
    code: "config_invalid",
    errors: [
      { path: "teams[1].plan", message: expect.stringContaining("unknown field") },
      { path: "teams[1].tokens", message: expect.stringContaining("needs at least one token") },
    ],
  });
  expect((await reader().team("acme"))?.lanes).toBe(1);
});

test("a script that does not compile changes nothing, and is named", async () => {
  const broken = { id: "broken", code: "export function transform(event) {\n  return event +;\n}" };
  const answer = await put([aTeam({ transformations: [SCRUB, broken] })]);
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toEqual([
    {
      path: "teams[0].transformations[1].code",
      message: expect.stringMatching(/^script "broken": .* at line 2, column \d+$/),
      frame: expect.stringContaining("return event +;"),
    },
  ]);
  expect(await reader().team("acme")).toBeNull();
});

test("every script and module that does not compile is named, each at its own place", async () => {
  const modules = [
    { id: "money", code: "export const cents = (n) => n * 100;" },
    { id: "broken", code: "export const x = ;" },
  ];
  const transformations = [SCRUB, { id: "asks", code: `import { cent } from "money";\nfetch(cent);` }];
  const answer = await put([aTeam({ modules, transformations })]);
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toEqual([
    {
      path: "teams[0].modules[1].code",
      message: expect.stringMatching(/^module "broken": Unexpected token .*at line 1, column 18$/),
      frame: expect.stringContaining("export const x = ;"),
    },
    { path: "teams[0].transformations[1].code", message: expect.stringMatching(/^script "asks": exports nothing/) },
    {
      path: "teams[0].transformations[1].code",
      message: expect.stringMatching(/^script "asks": cannot use fetch: .*at line 2, column 1$/),
      frame: expect.stringContaining("> 2 | fetch("),
    },
    {
      path: "teams[0].transformations[1].code",
      message: expect.stringMatching(/"money" exports no "cent": it has cents at line 1, column 10$/),
      frame: expect.stringContaining("> 1 | import { cent }"),
    },
  ]);
});

test("a token can move to another team in one document", async () => {
  await put([aTeam(), { id: "globex", tokens: ["phc_globex"] }]);
  const answer = await put([aTeam({ tokens: ["phc_globex"] }), { id: "globex", tokens: ["phc_acme"] }]);
  expect(answer.status).toBe(200);
  expect((await reader().token("phc_acme"))?.team).toBe("globex");
  expect((await reader().token("phc_globex"))?.team).toBe("acme");
});

test("a team that is missing loses its tokens and keeps what it needs to drain", async () => {
  await put([aTeam(), { id: "globex", tokens: ["phc_globex"] }]);
  const answer = await put([{ id: "globex", tokens: ["phc_globex"] }]);
  expect(answer.body).toMatchObject({
    changed: true,
    teams: { acme: { version: 2, removed: true, changes: [{ path: "", after: null }] } },
  });
  expect(await reader().token("phc_acme")).toBeNull();
  expect(await reader().team("acme")).toMatchObject({
    version: 2,
    tokens: [],
    destinations: [{ id: "hook" }, { id: "print" }],
  });
  expect((await test_.db.prepare("SELECT owner FROM secrets").all()).results).toEqual([{ owner: "hook" }]);
  expect((await test_.ask("GET", "/api/config")).body.teams).toMatchObject([{ id: "globex" }]);
  expect((await put([{ id: "globex", tokens: ["phc_globex"] }])).body.changed).toBe(false);
});

test("a removed team may come back, as its next version", async () => {
  await put([aTeam()]);
  await put([]);
  const answer = await put([aTeam()]);
  expect(answer.body).toMatchObject({ teams: { acme: { version: 3, changes: [{ path: "", before: null }] } } });
  expect(await reader().token("phc_acme")).toEqual({ team: "acme", lanes: 1, version: 3 });
});

test("a destination that still has events becomes no other kind without force; another address it may get", async () => {
  await put([aTeam()]);
  await test_.outbox("acme", "hook", { book: aBook({ accepted: 3, pending: 3 }) });
  const [hook] = aTeam().destinations as [{ id: string; kind: string; url: string }];
  const rest = (aTeam().destinations as { id: string }[]).slice(1);
  const refused = await put([aTeam({ destinations: [{ id: "hook", kind: "terminal" }, ...rest] })]);
  expect(refused).toMatchObject({ status: 409, body: { code: "destination_not_empty" } });
  expect(refused.text).toContain("acme/hook (3 pending events");
  expect((await put([aTeam({ destinations: [{ ...hook, url: "https://new.test/in" }, ...rest] })])).status).toBe(200);
});

test("a destination that still has events is not removed without force", async () => {
  await put([aTeam()]);
  await test_.lane("acme", { lane: "acme:0", nextSeq: 10, pending: { hook: 2 } });
  await test_.outbox("acme", "hook", { book: aBook({ accepted: 4, pending: 3, dead: 1 }) });
  const refused = await put([aTeam({ destinations: [PRINT] })]);
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({
    code: "destination_not_empty",
    detail: expect.stringContaining("acme/hook (5 pending events, 1 dead letters)"),
    errors: [{ team: "acme", destination: "hook", pending: 5, dead: 1 }],
  });
  expect((await reader().team("acme"))?.version).toBe(1);
  const forced = await put([aTeam({ destinations: [PRINT] })], "?force=true");
  expect(forced.body).toMatchObject({ changed: true, teams: { acme: { version: 2 } } });
  expect((await test_.db.prepare("SELECT * FROM secrets").all()).results).toEqual([]);
});

test("an empty destination is removed without further ado", async () => {
  await put([aTeam()]);
  await test_.outbox("acme", "hook", { book: aBook({ accepted: 4, delivered: 4 }) });
  expect((await put([aTeam({ destinations: [PRINT] })])).status).toBe(200);
});

test("whether a destination is empty must be known before it is removed", async () => {
  await put([aTeam()]);
  await test_.outbox("acme", "hook", {}, new Error("the object is away"));
  const answer = await put([aTeam({ destinations: [PRINT] })]);
  expect(answer.status).toBe(503);
  expect(answer.body.detail).toContain("outbox acme/hook");
});

test("KV in trouble is a warning, and the next document mends it", async () => {
  await put([aTeam()]);
  test_.kv.failWith("kv is away");
  const answer = await put([aTeam({ tokens: ["phc_new"] })]);
  expect(answer).toMatchObject({
    status: 200,
    body: { changed: true, warnings: [expect.stringContaining("kv is away")] },
  });
  test_.kv.failWith(null);
  expect((await put([aTeam({ tokens: ["phc_new"] })])).body).toEqual({ changed: false, teams: {}, warnings: [] });
  expect([...test_.kv.entries.keys()].sort()).toEqual(["team:acme", "token:phc_new"]);
});

test("a removal that KV missed is mended too", async () => {
  await put([aTeam()]);
  test_.kv.failWith("kv is away");
  await put([]);
  test_.kv.failWith(null);
  await put([]);
  expect([...test_.kv.entries.keys()]).toEqual(["team:acme"]);
});

test("an object that cannot be woken is a warning", async () => {
  await put([aTeam()]);
  await test_.lane("acme", { lane: "acme:0" }, new Error("overloaded"));
  const answer = await put([aTeam({ lanes: 2 })]);
  expect(answer).toMatchObject({
    status: 200,
    body: { changed: true, warnings: [expect.stringContaining("lane acme:0")] },
  });
});

test("of two documents at once one is refused with a conflict", async () => {
  await put([aTeam()]);
  const answers = await Promise.all([put([aTeam({ lanes: 2 })]), put([aTeam({ lanes: 3 })])]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(answers.find(({ status }) => status === 409)?.body.code).toBe("config_conflict");
});

test("a secret that cannot be sealed changes nothing and is not shown", async () => {
  test_ = testConsole({
    deliver: {
      seal: async () => Promise.reject(new Error("SECRET_KEY is missing")),
      open: async () => Promise.reject(new Error("SECRET_KEY is missing")),
    },
  });
  const answer = await put([aTeam()]);
  expect(answer).toMatchObject({ status: 503, body: { code: "secret_not_sealed" } });
  expect(answer.body.detail).toContain("acme/hook signing_secret");
  expect(answer.text).not.toContain(SECRET);
  expect(await reader().team("acme")).toBeNull();
});

test("D1's own words for a version that exists are known", () => {
  const text =
    "D1_ERROR: UNIQUE constraint failed: team_versions.team, team_versions.version: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)";
  expect(isVersionConflict(text)).toBe(true);
  expect(isVersionConflict("D1_ERROR: UNIQUE constraint failed: lanes.lane: SQLITE_CONSTRAINT")).toBe(false);
  expect(isVersionConflict("D1_ERROR: no such table: team_versions: SQLITE_ERROR")).toBe(false);
});
