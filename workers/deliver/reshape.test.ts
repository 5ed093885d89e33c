import { expect, test } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import type { OwnShare } from "../../shared/sandbox-api.ts";
import type { Bundle, TeamSnapshot } from "../../shared/snapshot.ts";
import type { RunOutcome } from "../capture/sandbox-client.ts";
import { reshape } from "./reshape.ts";

const script = { id: "destination:hook", module: "m.js", on_error: "dead_letter" as const, inputs: {} };
const bundle: Bundle = { hash: "h", team: "acme", scripts: [], filters: {}, shapers: { hook: script }, modules: {} };
const snapshot: TeamSnapshot = { team: "acme", version: 1, lanes: 1, tokens: [], bundle, destinations: [] };
const events = encodeLines(['{"uuid":"1"}', '{"uuid":"2"}', '{"uuid":"3"}']);

/** What comes of the three events at `destination` when the sandbox answers so. */
function run(
  outcome: RunOutcome,
  destination = "hook",
  team: () => Promise<TeamSnapshot | null> = async () => snapshot,
) {
  return reshape({ snapshots: { team }, run: async () => outcome }, "acme", destination, events);
}

function ran(own: Partial<OwnShare>, lines: string[], count?: number): RunOutcome {
  const share = { count: lines.length, sources: [], dropped: [], dead: [], ...own };
  const result = { sources: null, dropped: [], matches: {}, errors: [], own: { hook: share } };
  return {
    outcome: "ran",
    result: count === undefined ? result : { ...result, ran: count },
    events: encodeLines(lines),
  };
}

const AWAY: RunOutcome = { outcome: "died", started: false, progress: null, message: "connection refused" };

test("a script's failures say whose they are", async () => {
  const own = { sources: [0, 2], dropped: [1], dead: [{ line: 1, message: "TypeError: no (line 3)" }] };
  expect(await run(ran(own, ["{}", "{}"]))).toMatchObject({
    ran: 3,
    share: { ...own, dead: [{ line: 1, message: "the destination's script failed: TypeError: no (line 3)" }] },
  });
});

test("without a script, or without the team's scripts, events stay as they are", async () => {
  const share = { count: 3, sources: [0, 1, 2], dropped: [], dead: [] };
  const same = { ran: 3, share, lines: events };
  expect(await run(AWAY, "other")).toEqual(same);
  expect(await run(AWAY, "constructor")).toEqual(same);
  expect(await run(AWAY, "hook", async () => ({ ...snapshot, bundle: null }))).toEqual(same);
  expect(await run(AWAY, "hook", async () => null)).toEqual(same);
});

test.each<RunOutcome>([AWAY, { outcome: "broken", message: "connection refused" }])(
  "a script that cannot be run is told of: %j",
  async (outcome) => {
    expect(await run(outcome)).toEqual({
      problem: 'the script of destination "hook" could not be run: connection refused',
    });
  },
);

test("configuration that cannot be read is no reason to send events as they are", async () => {
  const failing = async () => Promise.reject(new Error("KV is away"));
  expect(await run(AWAY, "hook", failing)).toEqual({
    problem: 'the configuration of team "acme" cannot be read now: KV is away',
  });
});

test("an answer for the first events is taken for these", async () => {
  expect(await run(ran({ sources: [0], dropped: [1] }, ["{}"], 2))).toMatchObject({ ran: 2 });
});

test.each<[string, RunOutcome]>([
  ["an event is missing", ran({ sources: [0, 1] }, ["{}", "{}"])],
  ["a line is missing", ran({ count: 3, sources: [0, 1, 2] }, ["{}", "{}"])],
  ["a line is too many", ran({ count: 2, sources: [0, 1, 2] }, ["{}", "{}"])],
  ["none was run", ran({}, [], 0)],
  ["more than there are", ran({ sources: [0, 1, 2, 3] }, ["{}", "{}", "{}", "{}"], 4)],
  ["a dead line is not there", ran({ sources: [0, 1, 2], dead: [{ line: 3, message: "" }] }, ["{}", "{}", "{}"])],
])("an answer that does not account for every event changes nothing: %s", async (_, outcome) => {
  expect(await run(outcome)).toEqual({ problem: "the sandbox's answer leaves out some of the events" });
});
