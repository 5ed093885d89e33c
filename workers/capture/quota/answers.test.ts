import { expect, test } from "vitest";
import type { QuotaConfig, RestrictionConfig } from "../../../shared/config-sources.ts";
import type { Event } from "../../../shared/event.ts";
import type { Refused } from "../../../shared/lane-api.ts";
import type { Target } from "../accept.ts";
import { createIngress } from "../ingress.ts";
import { type QuotaReason, type Resource, resourceOf } from "./resource.ts";

/** What each protocol answers to events over quota; which ones are over is a matter of quota.ts. */
function rig(limited: Resource[], team: { restrictions?: RestrictionConfig[]; quota?: QuotaConfig } = {}) {
  const stored: string[] = [];
  const minted: number[] = [];
  const asked: Target[] = [];
  const counted: Refused[] = [];
  const state = { settled: 0, isFull: false };
  const ingress = createIngress({
    resolve: async () => ({ team: "acme", lanes: 1, ...team }),
    append: async (_target, events, _limits, made) => {
      if (state.isFull) throw new Error("full");
      stored.push(...events.map(({ event }) => event));
      minted.push(made.size);
    },
    quota: async (target, events) => {
      asked.push(target);
      const reasons = events.map((event): [Event, QuotaReason] => [event, `quota:${resourceOf(event)}`]);
      const refused = new Map(reasons.filter(([event]) => limited.includes(resourceOf(event))));
      return { refused, settle: () => state.settled++ };
    },
    refused: (_target, counts) => counted.push(counts),
    clock: { now: () => Date.UTC(2026, 7, 1, 12) },
    fillRandom: (bytes) => void bytes.fill(5),
    timer: () => ({ done: new Promise(() => {}), cancel: () => {} }),
    log: () => {},
    client: () => ({ ip: null, geo: undefined }),
  });
  const ask = async (path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers };
    const response = await ingress.fetch(new Request(`http://capture.test${path}`, init));
    return { status: response.status, body: await response.text() };
  };
  return { ask, asked, counted, minted, state, stored };
}

const batch = (...names: string[]) => ({
  api_key: "phc_acme",
  batch: names.map((event) => ({ event, distinct_id: "u" })),
});
const snapshot = {
  api_key: "phc_acme",
  event: "$snapshot",
  distinct_id: "u",
  properties: { $session_id: "s-1", $snapshot_data: [{}] },
};
const track = { type: "track", event: "signup", userId: "u", writeKey: "phc_acme" };
const OK = '{"status":"Ok"}';

test.each<[string, unknown, Resource[], number, string]>([
  ["/batch/", batch("a", "b"), ["events"], 200, OK],
  ["/e/", batch("a", "b").batch.map((event) => ({ ...event, token: "phc_acme" })), ["events"], 200, OK],
  ["/engage", { token: "phc_acme", distinct_id: "u", $set: {} }, ["events"], 200, OK],
  ["/e/?beacon=1", batch("a"), ["events"], 204, ""],
  ["/i/v0/ai/batch/", batch("$ai_generation"), ["llm_events"], 200, OK],
  ["/s/", snapshot, ["recordings"], 200, '{"status":"Ok","quota_limited":["recordings"]}'],
  ["/v1/track", track, ["events"], 200, '{"success":true}'],
  ["/v1/batch", { writeKey: "phc_acme", batch: [track] }, ["events"], 200, '{"success":true}'],
  ["/p/phc_acme.gif?event=a&distinct_id=u", undefined, ["events"], 200, expect.stringMatching(/^GIF89a/)],
])("%s with %j over the quota of %j answers %i and stores nothing", async (path, body, limited, status, text) => {
  const { ask, counted, stored } = rig(limited);
  expect(await ask(path, body)).toEqual({ status, body: text });
  expect(stored).toEqual([]);
  expect(counted).toHaveLength(1);
});

test("a recording within its quota is answered without a word of it, whatever else is over", async () => {
  const { ask, stored } = rig(["events", "exceptions"]);
  expect(await ask("/s/", snapshot)).toEqual({ status: 200, body: OK });
  expect(stored).toEqual(["$snapshot_items"]);
});

test("only events of a limited resource are taken out, and counted by it", async () => {
  const { ask, counted, state, stored } = rig(["exceptions", "surveys"]);
  await ask("/batch", batch("a", "$exception", "survey sent", "$exception", "b"));
  expect(stored).toEqual(["a", "b"]);
  expect(counted).toEqual([{ posthog: { "quota:exceptions": 2, "quota:surveys": 1 } }]);
  expect(state.settled).toBe(1);
});

test("what failed to be stored gives back what it took, and counts nothing: all of it comes again", async () => {
  const { ask, counted, state } = rig(["exceptions"]);
  state.isFull = true;
  expect((await ask("/batch", batch("a", "$exception"))).status).toBe(503);
  expect(counted).toEqual([]);
  expect(state.settled).toBe(1);
});

test("what a restriction drops is not asked for, and is counted beside what is over quota", async () => {
  const { ask, asked, counted, stored } = rig(["events"], {
    restrictions: [{ action: "drop", events: ["noise"] }],
    quota: { events_per_day: 1 },
  });
  await ask("/batch", batch("noise", "a", "$exception"));
  expect(stored).toEqual(["$exception"]);
  expect(counted).toEqual([{ posthog: { restricted: 1, "quota:events": 1 } }]);
  expect(asked).toMatchObject([{ team: "acme", token: "phc_acme", quota: { events_per_day: 1 } }]);
});

test("capture says which uuids no client has chosen", async () => {
  const { ask, minted } = rig([]);
  const [given, made] = batch("a", "b").batch;
  await ask("/batch", {
    api_key: "phc_acme",
    batch: [{ ...given, uuid: "01890a5d-ac96-774b-bcce-b302099a8057" }, made],
  });
  expect(minted).toEqual([1]);
});

const V1 = "/i/v1/analytics/events";
const HEADERS = {
  authorization: "Bearer phc_acme",
  "content-type": "application/json",
  "user-agent": "posthog-node/5.70.0",
  "posthog-sdk-info": "posthog-node/5.70.0",
  "posthog-attempt": "1",
  "posthog-request-id": "01890a5d-ac96-774b-bcce-b302099a8000",
  "posthog-request-timestamp": "2026-08-01T12:00:00Z",
};
const uuidOf = (index: number) => `01890a5d-ac96-774b-bcce-b302099a805${index}`;
const v1Batch = (...names: string[]) => ({
  created_at: "2026-08-01T12:00:00Z",
  batch: names.map((event, index) => ({
    ...{ event, uuid: uuidOf(index), distinct_id: "u", timestamp: "2026-08-01T11:00:00Z" },
  })),
});
const resultsOf = ({ body }: { body: string }) => Object.values(JSON.parse(body).results as Record<string, object>);

test("v1: a batch all of which is over quota is answered 402, and counted", async () => {
  const { ask, counted, state, stored } = rig(["events", "exceptions"]);
  const answer = await ask(V1, v1Batch("a", "$exception", ""), HEADERS);
  expect(answer.status).toBe(402);
  expect(JSON.parse(answer.body)).toEqual({
    error: "billing_limit_exceeded",
    error_description: "the team's quota is used up; nothing of the batch was stored",
    error_uri: "urn:headwater:error:billing_limit_exceeded",
  });
  expect(stored).toEqual([]);
  expect(counted).toEqual([{ posthog: { "quota:events": 1, "quota:exceptions": 1 } }]);
  expect(state.settled).toBe(1);
});

test("v1: beside events that are stored, each one that is over quota is named", async () => {
  const { ask, stored } = rig(["exceptions", "surveys", "llm_events", "recordings"]);
  const answer = await ask(V1, v1Batch("a", "$exception", "survey sent", "$ai_trace", "$snapshot"), HEADERS);
  expect(answer.status).toBe(200);
  expect(resultsOf(answer)).toEqual([
    { result: "ok" },
    { result: "drop", details: "exceptions_over_quota" },
    { result: "drop", details: "survey_responses_over_quota" },
    { result: "drop", details: "llm_events_over_quota" },
    { result: "drop", details: "recordings_over_quota" },
  ]);
  expect(stored).toEqual(["a"]);
});

test("v1: what is not events survives a quota of events", async () => {
  const { ask, stored } = rig(["events"]);
  expect(resultsOf(await ask(V1, v1Batch("a", "$exception"), HEADERS))).toEqual([
    { result: "drop", details: "events_over_quota" },
    { result: "ok" },
  ]);
  expect(stored).toEqual(["$exception"]);
});
