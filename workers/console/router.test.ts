import { beforeEach, expect, test } from "vitest";
import { aBook, type TestConsole, testConsole } from "../../shared/testing/test-console.ts";

const SCRUB = { id: "scrub", code: "export function transform(event) { return event; }" };
const HOOK = { id: "hook", kind: "webhook", url: "https://example.com/in", signing_secret: "top secret text" };
const PRINT = { id: "print", kind: "terminal" };
const ACME = { id: "acme", name: "Acme", tokens: ["phc_acme"], transformations: [SCRUB], destinations: [HOOK, PRINT] };

let console_: TestConsole;
beforeEach(async () => {
  console_ = testConsole();
  await console_.ask("PUT", "/api/config", { teams: [ACME] });
});

const PROTECTED: [string, string][] = [
  ["GET", "/api/config"],
  ["PUT", "/api/config"],
  ["GET", "/api/teams"],
  ["GET", "/api/teams/acme/flow"],
  ["GET", "/api/teams/acme/destinations"],
  ["GET", "/api/teams/acme/transformations"],
  ["GET", "/api/teams/acme/dead-letters?destination=hook"],
  ["POST", "/api/teams/acme/dead-letters/replay"],
  ["GET", "/metrics"],
  ["GET", "/api/nothing-here"],
  ["DELETE", "/api/config"],
];

test.each(PROTECTED)("%s %s is closed without the admin token", async (method, path) => {
  for (const headers of [
    {},
    { Authorization: "Bearer wrong" },
    { Authorization: "Basic YTpi" },
    { Authorization: "" },
  ]) {
    const answer = await console_.ask(method, path, undefined, headers as Record<string, string>);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
    expect(answer.headers.get("WWW-Authenticate")).toBe("Bearer");
    expect(answer.body).toMatchObject({ status: 401, code: "unauthorised", title: "Not authorised" });
  }
});

test("without an admin token configured nobody is let in", async () => {
  const open = testConsole({ adminToken: "" });
  for (const headers of [{}, { Authorization: "Bearer " }, { Authorization: "Bearer x" }]) {
    expect((await open.ask("GET", "/api/teams", undefined, headers as Record<string, string>)).status).toBe(503);
  }
});

test("health needs no token and tells when the database is away", async () => {
  expect(await console_.ask("GET", "/api/health", undefined, {})).toMatchObject({
    status: 200,
    body: { status: "ok" },
  });
  console_.db.failWith("d1 is away");
  expect(await console_.ask("GET", "/api/health", undefined, {})).toMatchObject({
    status: 503,
    body: { code: "database_unavailable" },
  });
});

test("an unknown path is 404, a wrong method 405 with Allow", async () => {
  expect(await console_.ask("GET", "/api/nothing")).toMatchObject({ status: 404, body: { code: "not_found" } });
  const answer = await console_.ask("POST", "/api/config", {});
  expect(answer).toMatchObject({ status: 405, body: { code: "method_not_allowed" } });
  expect(answer.headers.get("Allow")).toBe("GET, PUT");
});

test("a body that is not JSON is the client's mistake", async () => {
  expect(await console_.ask("PUT", "/api/config", "{")).toMatchObject({ status: 400, body: { code: "invalid_json" } });
});

test("a bug is a 500 that shows nothing of itself", async () => {
  console_.db.failWith("secret detail");
  const answer = await console_.ask("GET", "/api/teams");
  expect(answer).toMatchObject({ status: 500, body: { code: "internal" } });
  expect(answer.text).not.toContain("secret detail");
});

test("the configuration is shown as it can be sent, with masks for secrets", async () => {
  const { body } = await console_.ask("GET", "/api/config");
  expect(body.teams).toMatchObject([
    {
      id: "acme",
      name: "Acme",
      tokens: ["phc_acme"],
      lanes: 1,
      transformations: [{ ...SCRUB, on_error: "pass", inputs: {} }],
      destinations: [{ ...HOOK, signing_secret: expect.stringMatching(/^sealed:/) }, PRINT],
    },
  ]);
});

test("teams are listed, removed ones too", async () => {
  await console_.ask("PUT", "/api/config", { teams: [{ id: "globex", tokens: ["phc_globex"] }] });
  expect((await console_.ask("GET", "/api/teams")).body.teams).toMatchObject([
    { id: "acme", name: "Acme", version: 2, removed: true, tokens: [] },
    { id: "globex", name: null, version: 1, removed: false, updated_at: "2026-01-01T00:00:00.000Z", destinations: [] },
  ]);
});

test("invariant 5: flow adds what waits in the lanes to the outboxes' books", async () => {
  await console_.lane("acme", { lane: "acme:0", nextSeq: 101, accepted: 100, pending: { hook: 10, print: 30 } });
  await console_.outbox("acme", "hook", {
    book: aBook({ accepted: 90, delivered: 80, dropped: 10 }),
    lanes: { "acme:0": 90 },
    emitted: 2,
  });
  const answer = await console_.ask("GET", "/api/teams/acme/flow");
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ team: "acme", emitted: { hook: 2, print: 0 }, removed: [] });
  expect(answer.body.destinations).toEqual({
    hook: { accepted: 100, delivered: 80, filtered: 0, dropped: 10, dead: 0, expired: 0, pending: 10 },
    print: { accepted: 30, delivered: 0, filtered: 0, dropped: 0, dead: 0, expired: 0, pending: 30 },
  });
  expect(answer.body.lanes).toMatchObject([{ lane: "acme:0", accepted: 100 }]);
});

test("invariant 5: flow and metrics show what capture has answered as taken and not stored", async () => {
  await console_.lane("acme", { lane: "acme:0", refused: { web: { sampled_out: 2, restricted: 1 } } });
  await console_.lane("acme", { lane: "acme:1", refused: { web: { sampled_out: 3 }, posthog: { "quota:events": 4 } } });
  expect((await console_.ask("GET", "/api/teams/acme/flow")).body.refused).toEqual({
    web: { sampled_out: 5, restricted: 1 },
    posthog: { "quota:events": 4 },
  });
  const lines = (await console_.ask("GET", "/metrics")).text.split("\n");
  expect(lines.filter((line) => line.startsWith("headwater_refused_events_total{"))).toEqual([
    'headwater_refused_events_total{team="acme",lane="acme:0",source="web",reason="sampled_out"} 2',
    'headwater_refused_events_total{team="acme",lane="acme:0",source="web",reason="restricted"} 1',
    'headwater_refused_events_total{team="acme",lane="acme:1",source="web",reason="sampled_out"} 3',
    'headwater_refused_events_total{team="acme",lane="acme:1",source="posthog",reason="quota:events"} 4',
  ]);
});

test("flow asks the lanes before the outboxes", async () => {
  await console_.lane("acme", { lane: "acme:0" });
  await console_.ask("GET", "/api/teams/acme/flow");
  expect(console_.calls).toEqual(["status acme:0", "status acme/hook", "status acme/print"]);
});

test("flow shows a removed destination for as long as it holds events", async () => {
  await console_.outbox("acme", "old", { book: aBook({ accepted: 2, dead: 2 }) });
  await console_.outbox("acme", "older", { book: aBook({ accepted: 5, delivered: 5 }) });
  const { body } = await console_.ask("GET", "/api/teams/acme/flow");
  expect(Object.keys(body.destinations)).toEqual(["hook", "print", "old"]);
  expect(body.removed).toEqual(["old"]);
});

test("objects that do not answer are named in a 503", async () => {
  await console_.lane("acme", { lane: "acme:0" }, new Error("overloaded"));
  await console_.lane("acme", { lane: "acme:1" }, new Error("overloaded"));
  const answer = await console_.ask("GET", "/api/teams/acme/flow");
  expect(answer).toMatchObject({ status: 503, body: { code: "objects_unreachable" } });
  expect(answer.body.detail).toContain("lane acme:0, lane acme:1");
  expect(answer.headers.get("Retry-After")).toBe("1");
});

test.each(["flow", "destinations", "transformations", "dead-letters?destination=hook"])(
  "%s of an unknown team is 404",
  async (resource) => {
    expect(await console_.ask("GET", `/api/teams/nobody/${resource}`)).toMatchObject({
      status: 404,
      body: { code: "team_unknown" },
    });
  },
);

test("destinations show settings without secrets, and how each does", async () => {
  await console_.outbox("acme", "hook", { breaker: "open", lastError: "500" });
  const { body } = await console_.ask("GET", "/api/teams/acme/destinations");
  expect(body.destinations).toMatchObject([
    {
      id: "hook",
      kind: "webhook",
      removed: false,
      settings: { url: HOOK.url, signing_secret: expect.stringMatching(/^sealed:/) },
      status: { breaker: "open", lastError: "500" },
    },
    { id: "print", kind: "terminal" },
  ]);
});

test("transformations name the culprit, added up over lanes", async () => {
  const bundle = (await console_.deps.store.team("acme"))?.bundle as string;
  const script = { id: "scrub", bundle, errors: 1, kills: 0, quarantined: false, lastError: null };
  await console_.lane("acme", {
    lane: "acme:0",
    scripts: [script, { ...script, bundle: "old", errors: 5, quarantined: true, lastError: "old trouble" }],
  });
  await console_.lane("acme", {
    lane: "acme:1",
    scripts: [{ ...script, errors: 2, kills: 3, quarantined: true, lastError: "out of memory" }],
  });
  const { body } = await console_.ask("GET", "/api/teams/acme/transformations");
  expect(body).toMatchObject({ team: "acme", version: 1, bundle });
  expect(body.transformations).toMatchObject([
    {
      id: "scrub",
      errors: 8,
      kills: 3,
      quarantined: true,
      quarantined_in: ["acme:1"],
      last_error: "out of memory",
      on_error: "pass",
    },
  ]);
});

test("dead letters are listed with their filters, times in UTC", async () => {
  const query = "destination=hook&limit=10&after=5&event=signup&distinct_id=u1&since=2026-01-01T02:00:00%2B02:00";
  const answer = await console_.ask("GET", `/api/teams/acme/dead-letters?${query}`);
  expect(answer.body).toEqual({ team: "acme", destination: "hook", dead_letters: [], total: 0, next: null });
  const asked = { limit: 10, after: 5, event: "signup", distinct_id: "u1", since: "2026-01-01T00:00:00.000Z" };
  expect(console_.calls).toEqual([`deadLetters acme/hook ${JSON.stringify(asked)}`]);
});

test.each([
  ["", 400, "destination"],
  ["destination=nope", 404, "destination"],
  ["destination=hook&limit=0", 400, "limit"],
  ["destination=hook&limit=1001", 400, "limit"],
  ["destination=hook&limit=x", 400, "limit"],
  ["destination=hook&since=yesterday", 400, "since"],
  ["destination=hook&limit=1&limit=2", 400, "limit"],
])("dead letters with ?%s are refused", async (query, status, field) => {
  const answer = await console_.ask("GET", `/api/teams/acme/dead-letters?${query}`);
  expect(answer).toMatchObject({ status, body: { field } });
  expect(console_.calls).toEqual([]);
});

test("a misspelt filter of dead letters is refused, not ignored", async () => {
  expect((await console_.ask("GET", "/api/teams/acme/dead-letters?destination=hook&evnt=x")).status).toBe(400);
  expect(
    (await console_.ask("POST", "/api/teams/acme/dead-letters/replay", { destination: "hook", id: [1] })).status,
  ).toBe(400);
});

test("dead letters are replayed, all or those selected", async () => {
  const path = "/api/teams/acme/dead-letters/replay";
  const all = await console_.ask("POST", path, { destination: "hook" });
  expect(all).toMatchObject({ status: 200, body: { team: "acme", destination: "hook", replayed: 3 } });
  await console_.ask("POST", path, { destination: "hook", ids: [1, 2], until: "2026-01-02T00:00:00Z" });
  expect(console_.calls).toEqual([
    "replay acme/hook {}",
    'replay acme/hook {"ids":[1,2],"until":"2026-01-02T00:00:00.000Z"}',
  ]);
});

test("a replay that cannot run the destination's script says so, and how far it came", async () => {
  const { objects } = console_.deps;
  const { outbox } = objects;
  const problem = "the sandbox is away";
  objects.outbox = (...of) => ({ ...outbox(...of), replay: async () => ({ replayed: 2, problem }) });
  const answer = await console_.ask("POST", "/api/teams/acme/dead-letters/replay", { destination: "hook" });
  expect(answer).toMatchObject({ status: 503, body: { code: "script_not_run" } });
  expect(answer.body.detail).toMatch(/^the sandbox is away. 2 dead letters were replayed; those .* stay/);
});

test("an empty list of ids does not replay everything", async () => {
  const answer = await console_.ask("POST", "/api/teams/acme/dead-letters/replay", { destination: "hook", ids: [] });
  expect(answer).toMatchObject({ status: 400, body: { field: "ids" } });
  expect(console_.calls).toEqual([]);
});

test("metrics show every team's lanes and outboxes, and which did not answer", async () => {
  const oldestAt = "2025-12-31T23:59:30.000Z";
  await console_.lane("acme", {
    lane: "acme:0",
    nextSeq: 11,
    accepted: 10,
    duplicates: 1,
    backlog: 4,
    pending: { hook: 4, new: 2 },
    scripts: [{ id: "scrub", bundle: "b1", errors: 2, kills: 1, quarantined: false, lastError: "x" }],
  });
  await console_.outbox("acme", "hook", {
    book: aBook({ accepted: 6, delivered: 3, filtered: 1, pending: 1, dead: 1 }),
    lanes: { "acme:0": 6 },
    pendingBytes: 700,
    oldestAt,
    breaker: "half-open",
    attempts: 9,
  });
  await console_.outbox("acme", "print", {}, new Error("away"));
  const answer = await console_.ask("GET", "/metrics");
  expect(answer.headers.get("Content-Type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const lines = answer.text.split("\n");
  for (const line of [
    "# TYPE headwater_events_total counter",
    'headwater_events_total{team="acme",destination="hook",outcome="delivered"} 3',
    'headwater_events_total{team="acme",destination="hook",outcome="filtered"} 1',
    'headwater_pending_events{team="acme",destination="hook"} 5',
    'headwater_pending_events{team="acme",destination="new"} 2',
    'headwater_pending_bytes{team="acme",destination="hook"} 700',
    'headwater_oldest_pending_age_seconds{team="acme",destination="hook"} 30',
    'headwater_dead_letters{team="acme",destination="hook"} 1',
    'headwater_breaker_state{team="acme",destination="hook"} 1',
    'headwater_delivery_attempts_total{team="acme",destination="hook"} 9',
    'headwater_accepted_events_total{team="acme",lane="acme:0"} 10',
    'headwater_duplicates_total{team="acme",lane="acme:0"} 1',
    'headwater_lane_backlog_events{team="acme",lane="acme:0"} 4',
    'headwater_script_errors_total{team="acme",lane="acme:0",transformation="scrub",bundle="b1"} 2',
    'headwater_script_kills_total{team="acme",lane="acme:0",transformation="scrub",bundle="b1"} 1',
    'headwater_object_up{team="acme",kind="lane",name="acme:0"} 1',
    'headwater_object_up{team="acme",kind="outbox",name="print"} 0',
  ]) {
    expect(lines).toContain(line);
  }
  expect(answer.text).not.toContain('destination="print"');
});
