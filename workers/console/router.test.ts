import { beforeEach, expect, test } from "vitest";
import type { Event } from "../../shared/event.ts";
import type { QuarantinedEvent, ScriptStatus } from "../../shared/lane-api.ts";
import type { DeadLetter } from "../../shared/outbox-api.ts";
import { aReplayStatus } from "../../shared/testing/statuses.ts";
import { aBook, type TestConsole, testConsole } from "../../shared/testing/test-console.ts";
import { scriptTrouble } from "./api/transformations.ts";

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
  ["GET", "/api/teams/acme/quarantine"],
  ["POST", "/api/teams/acme/quarantine/replay"],
  ["POST", "/api/teams/acme/quarantine/discard"],
  ["GET", "/api/teams/acme/samples"],
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

test("invariant 5: what is in the lanes' quarantine is dead at every destination, and dropped once discarded", async () => {
  await console_.lane("acme", {
    ...{ lane: "acme:0", nextSeq: 11, accepted: 10, pending: { hook: 0, print: 0 }, quarantined: 3, discarded: 2 },
    scripts: [aScript({ logs: [{ at: "2026-01-01T00:00:00.000Z", text: "a" }], failures: [] })],
  });
  await console_.outbox("acme", "hook", {
    book: aBook({ accepted: 5, delivered: 4, dead: 1 }),
    lanes: { "acme:0": 10 },
  });
  await console_.outbox("acme", "gone", { book: aBook({ accepted: 5, delivered: 5 }), lanes: { "acme:0": 10 } });
  const { body } = await console_.ask("GET", "/api/teams/acme/flow");
  expect(body.destinations.hook).toEqual(aBook({ accepted: 10, delivered: 4, dropped: 2, dead: 4 }));
  expect([body.removed, body.lanes[0].quarantined, body.lanes[0].discarded]).toEqual([[], 3, 2]);
  expect(Object.keys(body.lanes[0].scripts[0])).not.toContain("logs");
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

test.each(["flow", "destinations", "transformations", "dead-letters?destination=hook", "quarantine", "samples"])(
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

const aScript = (more: Partial<ScriptStatus> = {}): ScriptStatus => ({
  ...{ id: "scrub", bundle: "b1", errors: 0, kills: 0, quarantined: false, lastError: null },
  ...{ events: 0, dropped: 0, steps: 0, histogram: [], failures: [], logs: [] },
  ...more,
});

test("transformations name the culprit, added up over lanes, for the version in force", async () => {
  const bundle = (await console_.deps.store.team("acme"))?.bundle as string;
  await console_.lane("acme", {
    lane: "acme:0",
    scripts: [
      aScript({ bundle, errors: 1, events: 100, dropped: 10 }),
      aScript({ bundle: "old", errors: 5, quarantined: true, lastError: "old trouble" }),
    ],
  });
  await console_.lane("acme", {
    lane: "acme:1",
    scripts: [aScript({ bundle, errors: 2, events: 50, kills: 3, quarantined: true, lastError: "out of memory" })],
  });
  const { body } = await console_.ask("GET", "/api/teams/acme/transformations");
  expect(body).toMatchObject({ team: "acme", version: 1, bundle });
  expect(body.transformations).toMatchObject([
    {
      ...{ id: "scrub", events: 150, dropped: 10, errors: 3, kills: 3, quarantined: true, quarantined_in: ["acme:1"] },
      ...{ last_error: "out of memory", on_error: "pass", fuel: { p50: null, p99: null, total: 0 } },
      trouble: expect.stringMatching(/^it is not run any more/),
    },
  ]);
});

test("transformations show what a script costs, what it failed on and what it said", async () => {
  const bundle = (await console_.deps.store.team("acme"))?.bundle as string;
  const sample = { uuid: "u1", event: "signup", distinct_id: "d", properties: {} } as unknown as Event;
  const failure = { message: "no", count: 2, stack: ["f (1:2)"], sample };
  const early = { ...failure, firstAt: "2026-01-01T00:00:00.000Z", lastAt: "2026-01-01T00:00:05.000Z" };
  const late = { ...failure, firstAt: "2026-01-01T00:00:01.000Z", lastAt: "2026-01-01T00:00:09.000Z", count: 3 };
  const other = { ...late, message: "other", lastAt: "2026-01-01T00:00:10.000Z" };
  const common = { bundle, events: 50, steps: 4_000, histogram: [0, 0, 0, 49, 0, 0, 0, 1] };
  await console_.lane("acme", {
    lane: "acme:0",
    scripts: [
      aScript({ ...common, errors: 25, failures: [early], logs: [{ at: "2026-01-01T00:00:02.000Z", text: "b" }] }),
    ],
  });
  await console_.lane("acme", {
    lane: "acme:1",
    scripts: [
      aScript({
        ...{ ...common, histogram: [0, 0, 50] },
        ...{ errors: 5, lastError: "other", failures: [other, { ...late, sample: { ...sample, uuid: "u2" } }] },
        logs: [{ at: "2026-01-01T00:00:01.000Z", text: "a" }],
      }),
    ],
  });
  const { body } = await console_.ask("GET", "/api/teams/acme/transformations");
  expect(body.transformations[0]).toMatchObject({
    fuel: { p50: 3, p99: 7, total: 8_000 },
    trouble: "it fails on 30 % of its events, lately with: other",
    failures: [
      { message: "other", count: 3 },
      {
        ...{ message: "no", count: 5, stack: ["f (1:2)"], sample },
        ...{ first_at: "2026-01-01T00:00:00.000Z", last_at: "2026-01-01T00:00:09.000Z" },
      },
    ],
    logs: [{ text: "a" }, { text: "b" }],
  });
});

test("transformations show the scripts of sources and destinations too, around the chain", async () => {
  const code = "export function transform(event) { return event; }";
  const source = { id: "web", tokens: ["phc_web"], transformation: { code } };
  const destination = { ...PRINT, transformation: { code, on_error: "drop" } };
  await console_.ask("PUT", "/api/config", { teams: [{ ...ACME, sources: [source], destinations: [destination] }] });
  const bundle = (await console_.deps.store.team("acme"))?.bundle as string;
  await console_.lane("acme", {
    lane: "acme:0",
    scripts: [aScript({ id: "source:web", bundle, events: 2, errors: 2, lastError: "no" })],
  });
  const { body } = await console_.ask("GET", "/api/teams/acme/transformations");
  expect(body.transformations).toMatchObject([
    { id: "source:web", on_error: "pass", trouble: "it fails on every event: no" },
    { id: "scrub", trouble: null },
    { id: "destination:print", on_error: "drop", inputs: {}, file: null },
  ]);
});

test.each([
  [{ events: 10, errors: 0, dropped: 0 }, null],
  [{ events: 10, errors: 1, dropped: 9 }, null],
  [{ events: 10, errors: 0, dropped: 10 }, "it drops every event"],
  [{ events: 3, errors: 3, dropped: 0 }, "it fails on every event: out of fuel"],
  [{ events: 0, errors: 2, dropped: 0 }, "it fails on every event: out of fuel"],
])("what is wrong with a script of %j is %s", (counts, trouble) => {
  expect(scriptTrouble({ quarantined: false, last_error: "out of fuel", ...counts })).toBe(trouble);
});

const quarantined = (...ids: number[]): QuarantinedEvent[] =>
  ids.map((id) => ({
    id,
    script: "scrub",
    message: "no",
    quarantined_at: "2026-01-01T00:00:00.000Z",
    event: {} as Event,
  }));

test("quarantined events are listed page by page over all lanes", async () => {
  for (const lane of ["acme:0", "acme:1", "acme:2", "acme:3"]) await console_.lane("acme", { lane });
  console_.quarantines.set("acme:0", quarantined(1, 2, 3));
  console_.quarantines.set("acme:2", quarantined(1, 2));
  console_.quarantines.set("acme:3", quarantined(7));
  const pages: string[][] = [];
  for (let after: string | null = ""; after !== null; ) {
    const { body }: { body: { quarantined: { id: string }[]; total: number; next: string | null } } =
      await console_.ask(
        "GET",
        `/api/teams/acme/quarantine?limit=2${after === "" ? "" : `&after=${encodeURIComponent(after)}`}`,
      );
    expect(body.total).toBe(6);
    pages.push(body.quarantined.map(({ id }) => id));
    after = body.next;
  }
  expect(pages).toEqual([
    ["acme:0:1", "acme:0:2"],
    ["acme:0:3", "acme:2:1"],
    ["acme:2:2", "acme:3:7"],
  ]);
});

test("quarantined events are filtered, and replayed or discarded as selected", async () => {
  for (const lane of ["acme:0", "acme:1"]) await console_.lane("acme", { lane });
  const path = "/api/teams/acme/quarantine";
  await console_.ask("GET", `${path}?script=scrub&event=signup&distinct_id=u1`);
  expect(await console_.ask("POST", `${path}/replay`, {})).toMatchObject({ body: { team: "acme", replayed: 4 } });
  const selection = { ids: ["acme:1:5", "acme:1:6"], script: "restriction" };
  expect((await console_.ask("POST", `${path}/replay`, selection)).body).toEqual({ team: "acme", replayed: 2 });
  expect((await console_.ask("POST", `${path}/discard`, { event: "e" })).body).toEqual({ team: "acme", discarded: 2 });
  const filter = '{"script":"scrub","event":"signup","distinct_id":"u1"}';
  expect(console_.calls).toEqual([
    ...[`quarantine acme:0 ${filter}`, `quarantine acme:1 ${filter}`, "release acme:0 {}", "release acme:1 {}"],
    'release acme:1 {"script":"restriction","ids":[5,6]}',
    ...['discard acme:0 {"event":"e"}', 'discard acme:1 {"event":"e"}'],
  ]);
});

test.each([
  ["GET", "quarantine?limit=0", undefined, "limit"],
  ["GET", "quarantine?limit=1001", undefined, "limit"],
  ["GET", "quarantine?after=7", undefined, "after"],
  ["GET", "quarantine?evnt=x", undefined, ""],
  ["GET", "samples?limit=101", undefined, "limit"],
  ["POST", "quarantine/replay", { ids: [] }, "ids"],
  ["POST", "quarantine/replay", { ids: ["5"] }, "ids[0]"],
  ["POST", "quarantine/discard", { ids: ["globex:local:0:5"] }, "ids"],
  ["POST", "quarantine/discard", { scripts: "x" }, ""],
])(
  "%s %s with %j is the client's mistake, and touches nothing (invariant 6)",
  async (method, resource, body, field) => {
    await console_.lane("acme", { lane: "acme:0" });
    const answer = await console_.ask(method, `/api/teams/acme/${resource}`, body);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", field } });
    expect(console_.calls).toEqual([]);
  },
);

test("samples are the newest events of all lanes", async () => {
  const at = (second: number) => ({ uuid: `${second}`, received_at: `2026-01-01T00:00:0${second}.000Z` }) as Event;
  for (const lane of ["acme:0", "acme:1"]) await console_.lane("acme", { lane });
  console_.samples.set("acme:0", [at(5), at(1)]);
  console_.samples.set("acme:1", [at(7), at(3)]);
  const { body } = await console_.ask("GET", "/api/teams/acme/samples?limit=3");
  expect(body).toEqual({ team: "acme", samples: [at(7), at(5), at(3)] });
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
    'replay acme/hook {"id":"id1","from":"dead_letters","team":"acme","destination":"hook","selection":{}}',
    expect.stringContaining('"selection":{"ids":[1,2],"until":"2026-01-02T00:00:00.000Z"}'),
  ]);
});

test("a replay that cannot run the destination's script says so, and how far it came", async () => {
  const { objects } = console_.deps;
  const { outbox } = objects;
  const problem = "the sandbox is away";
  objects.outbox = (...of) => ({ ...outbox(...of), replay: async () => aReplayStatus({ replayed: 2, problem }) });
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
    ...{ quarantined: 6, discarded: 5 },
    scripts: [aScript({ errors: 2, kills: 1, lastError: "x", events: 9, dropped: 4, steps: 70 })],
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
    'headwater_script_events_total{team="acme",lane="acme:0",transformation="scrub",bundle="b1"} 9',
    'headwater_script_dropped_total{team="acme",lane="acme:0",transformation="scrub",bundle="b1"} 4',
    'headwater_script_steps_total{team="acme",lane="acme:0",transformation="scrub",bundle="b1"} 70',
    'headwater_quarantined_events{team="acme",lane="acme:0"} 6',
    'headwater_discarded_events_total{team="acme",lane="acme:0"} 5',
    'headwater_object_up{team="acme",kind="lane",name="acme:0"} 1',
    'headwater_object_up{team="acme",kind="outbox",name="print"} 0',
  ]) {
    expect(lines).toContain(line);
  }
  expect(answer.text).not.toContain('destination="print"');
});

test("a destination is paused with a reason and resumed; its notifications too, and an unknown one not", async () => {
  const path = "/api/teams/acme/destinations";
  expect((await console_.ask("POST", `${path}/hook/pause`, { reason: "moving" })).body).toMatchObject({ paused: true });
  expect(await console_.ask("POST", `${path}/print/pause`)).toMatchObject({ status: 200 });
  expect((await console_.ask("POST", `${path}/hook/resume`)).body).toMatchObject({ paused: false });
  expect(await console_.ask("POST", `${path}/$notifications/resume`)).toMatchObject({ status: 200 });
  expect(console_.calls).toEqual([
    ...["pause acme/hook moving", "pause acme/print paused by an operator"],
    ...["resume acme/hook", "resume acme/$notifications"],
  ]);
  const unknown = await console_.ask("POST", `${path}/nowhere/pause`);
  expect(unknown).toMatchObject({ status: 404, body: { code: "destination_unknown" } });
  expect(unknown.body.detail).toMatch(/it has hook, print$/);
});

test("notifications are part of the configuration: their secret is sealed, their outbox is shown apart", async () => {
  const notifications = { url: "https://ops.test/in", signing_secret: "a-long-enough-secret" };
  const published = await console_.ask("PUT", "/api/config", { teams: [{ ...ACME, notifications }] });
  expect(published.status).toBe(200);
  expect(await console_.deps.store.snapshot("acme")).toMatchObject({
    notifications: { id: "$notifications", kind: "webhook", settings: { url: notifications.url } },
  });
  const owners = (await console_.deps.store.secrets()).map(({ owner }) => owner);
  expect(owners).toContain("$notifications");
  await console_.outbox("acme", "$notifications", { lastError: "500" });
  const { body } = await console_.ask("GET", "/api/teams/acme/destinations");
  expect(body.notifications).toMatchObject({
    ...{ url: notifications.url, signing_secret: expect.stringMatching(/^sealed:/) },
    status: { destination: "$notifications", lastError: "500" },
  });
  expect(Object.keys((await console_.ask("GET", "/api/teams/acme/flow")).body.destinations)).toEqual(["hook", "print"]);
  const refused = await console_.ask("PUT", "/api/config", { teams: [{ ...ACME, notifications: { url: "ftp://x" } }] });
  expect(refused.status).toBe(422);
  expect(refused.text).toContain("teams[0].notifications.url");
});

test("dead letters are replayed elsewhere at a rate; a replay that is not over yet answers 202", async () => {
  const { objects } = console_.deps;
  const { outbox } = objects;
  const running = aReplayStatus({ state: "running", replayed: 7, total: 90 });
  const asked: unknown[] = [];
  objects.outbox = (...of) => ({
    ...outbox(...of),
    replay: async (request) => {
      asked.push(request);
      return running;
    },
  });
  const path = "/api/teams/acme/dead-letters/replay";
  const answer = await console_.ask("POST", path, { destination: "hook", to: "print", events_per_second: 50 });
  expect(answer).toMatchObject({
    status: 202,
    body: { to: "print", replayed: 7, replay: { id: "r1", state: "running", total: 90 } },
  });
  expect(asked).toMatchObject([{ destination: "print", events_per_second: 50 }]);
  const unknown = await console_.ask("POST", path, { destination: "hook", to: "nowhere" });
  expect(unknown).toMatchObject({ status: 404, body: { field: "to" } });
  expect((await console_.ask("POST", path, { destination: "hook", events_per_second: 0 })).status).toBe(400);
});

test("dead letters are discarded with a count, and exported page by page as lines", async () => {
  const answer = await console_.ask("POST", "/api/teams/acme/dead-letters/discard", {
    destination: "hook",
    reason: "4",
  });
  expect(answer.body).toEqual({ team: "acme", destination: "hook", discarded: 4 });
  const { objects } = console_.deps;
  const { outbox } = objects;
  const letter = (id: number) => ({ id, uuid: `u${id}` }) as DeadLetter;
  objects.outbox = (...of) => ({
    ...outbox(...of),
    deadLetters: async ({ after = 0 }) => {
      const dead_letters = after < 6 ? [letter(after + 1), letter(after + 2)] : [];
      return { dead_letters, total: 0, next: after < 4 ? after + 2 : null };
    },
  });
  const exported = await console_.ask("GET", "/api/teams/acme/dead-letters/export?destination=hook&event=signup");
  expect(exported.headers.get("Content-Type")).toBe("application/x-ndjson");
  expect(
    exported.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).id),
  ).toEqual([1, 2, 3, 4, 5, 6]);
});

test("a replay from the lanes is one job in each; together they are shown, and cancelled", async () => {
  for (const lane of ["acme:0", "acme:1"]) await console_.lane("acme", { lane });
  const range = { since: "2026-01-01T00:00:00+01:00", until: "2026-01-02T00:00:00Z" };
  const started = await console_.ask("POST", "/api/teams/acme/replay", { destination: "hook", ...range });
  expect(started.body.replay).toMatchObject({ id: "id1", from: "lane", replayed: 6, sources: ["acme:0", "acme:1"] });
  expect(console_.calls).toContainEqual(expect.stringContaining('"since":"2025-12-31T23:00:00.000Z"'));
  const part = (lane: string, state: "running" | "done") =>
    aReplayStatus({ id: "id1", from: "lane", source: lane, state, ended_at: null, total: 5, seen: 2, replayed: 1 });
  console_.replays.set("acme:0", [part("acme:0", "running")]);
  console_.replays.set("acme:1", [part("acme:1", "done")]);
  const other = aReplayStatus({ id: "r9", created_at: "2026-01-05T00:00:00.000Z" });
  console_.replays.set("acme/hook", [other]);
  const { body } = await console_.ask("GET", "/api/teams/acme/replays");
  expect(body.replays).toMatchObject([
    { id: "r9", sources: ["hook"] },
    { id: "id1", state: "running", total: 10, seen: 4, replayed: 2 },
  ]);
  const cancelled = await console_.ask("DELETE", "/api/teams/acme/replays/id1");
  expect(cancelled.body.replay).toMatchObject({ id: "id1", state: "cancelled" });
  expect((await console_.ask("GET", "/api/teams/acme/replays/id1")).body.replay.state).toBe("cancelled");
  expect(await console_.ask("DELETE", "/api/teams/acme/replays/none")).toMatchObject({ status: 404 });
});

test.each([
  [{ destination: "nowhere", since: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z" }, 404, "destination"],
  [{ destination: "hook", since: "2026-01-02T00:00:00Z", until: "2026-01-01T00:00:00Z" }, 400, "until"],
  [{ destination: "hook", since: "yesterday", until: "2026-01-01T00:00:00Z" }, 400, "since"],
])("a replay of %j is refused", async (body, status, field) => {
  expect(await console_.ask("POST", "/api/teams/acme/replay", body)).toMatchObject({ status, body: { field } });
});

test("a replay from an archive is the receiving destination's; what is no archive is refused", async () => {
  const archive = { id: "arc", kind: "s3", endpoint: "https://s3.test", bucket: "arch" };
  const secrets = { access_key_id: "a-key-id", secret_access_key: "a-secret-key" };
  const destinations = [HOOK, { ...archive, ...secrets }];
  const published = await console_.ask("PUT", "/api/config", { teams: [{ ...ACME, destinations }] });
  expect(published.body).toMatchObject({ changed: true });
  const range = { since: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z" };
  console_.calls.length = 0;
  const started = await console_.ask("POST", "/api/teams/acme/replay", { destination: "hook", from: "arc", ...range });
  expect(started).toMatchObject({ status: 200, body: { replay: { from: "archive", destination: "hook" } } });
  expect(console_.calls).toEqual([expect.stringContaining('replay acme/hook {"from":"archive","archive":"arc"')]);
  const path = "/api/teams/acme/replay";
  expect(await console_.ask("POST", path, { destination: "arc", from: "hook", ...range })).toMatchObject({
    ...{ status: 400, body: { code: "no_archive", field: "from" } },
  });
  const noLane = await console_.ask("POST", path, { destination: "hook", ...range });
  expect(noLane).toMatchObject({ status: 409, body: { code: "nothing_to_replay" } });
});
