import { expect, test } from "vitest";
import { DEAD_TOLD_MS, FAILING_TOLD_MS } from "./health.ts";
import { Notices } from "./notices.ts";
import { aDestination, anAppend, bookProblems, DELIVERED, FAILED, OutboxRig } from "./testing/outbox-rig.ts";

const DAY_MS = 86_400_000;
const settings = { retry: { base_ms: 100, max_delay_ms: 1_000, max_age_ms: 10 * DAY_MS } };

const typesOf = (rig: OutboxRig) => rig.outbox.notices(100).map(({ body }) => JSON.parse(body).type as string);

test("a paused destination gets nothing and its events queue, also after a restart; resumed it gets all (invariant 5)", async () => {
  const rig = new OutboxRig(aDestination());
  rig.outbox.identify({ team: "acme", destination: "hook" });
  rig.outbox.health.pause("the receiver moves house");
  rig.append(anAppend(0, 3));
  await rig.advance(60_000);
  rig.crash();
  await rig.advance(60_000);
  expect(rig.requests).toEqual([]);
  expect(rig.outbox.figures().paused).toEqual({
    ...{ by: "operator", reason: "the receiver moves house", since: "2026-01-01T00:00:00.000Z" },
  });
  expect(rig.outbox.book()).toMatchObject({ accepted: 3, pending: 3 });
  rig.drain.resume();
  await rig.settled();
  expect(rig.outbox.book()).toMatchObject({ accepted: 3, delivered: 3 });
  expect(rig.outbox.figures().paused).toBeNull();
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("the time of a pause is not counted to the age of its events", async () => {
  const rig = new OutboxRig(aDestination({ retry: { ...settings.retry, max_age_ms: 60_000 } }));
  rig.answer = () => FAILED;
  rig.append(anAppend(0, 1));
  await rig.settled();
  rig.outbox.health.pause("later");
  await rig.advance(DAY_MS);
  rig.drain.resume();
  await rig.advance(59_000);
  expect(rig.outbox.book()).toMatchObject({ pending: 1, dead: 0 });
  await rig.advance(2_000);
  expect(rig.outbox.book()).toMatchObject({ pending: 0, dead: 1 });
});

test("a destination that fails for longer than auto_pause is paused, is told of once, and says so when it is back", async () => {
  const rig = new OutboxRig(aDestination({ ...settings, auto_pause: { after_ms: 3_600_000 } }));
  rig.answer = () => FAILED;
  rig.append(anAppend(0, 2));
  await rig.advance(FAILING_TOLD_MS - 60_000);
  expect(typesOf(rig)).toEqual([]);
  await rig.advance(180_000);
  expect(typesOf(rig)).toEqual(["destination.failing"]);
  await rig.advance(3_700_000);
  expect(typesOf(rig)).toEqual(["destination.failing", "destination.paused"]);
  expect(rig.outbox.figures().paused).toMatchObject({
    by: "failures",
    reason: expect.stringContaining("sink answered 500"),
  });
  const attempts = rig.requests.length;
  rig.crash();
  await rig.advance(DAY_MS);
  expect(rig.requests.length).toBe(attempts);
  rig.answer = () => DELIVERED;
  rig.drain.resume();
  await rig.settled();
  expect(typesOf(rig).at(-1)).toBe("destination.recovered");
  expect(rig.outbox.book()).toMatchObject({ delivered: 2, pending: 0 });
  expect(JSON.parse(rig.outbox.notices(1)[0]?.body as string)).toEqual({
    ...{ type: "destination.failing", team: "acme", destination: "hook", at: expect.any(String) },
    details: { reason: "sink answered 500", failing_since: "2026-01-01T00:00:00.000Z" },
  });
});

test("with auto_pause 0 it is never paused", async () => {
  const rig = new OutboxRig(aDestination({ ...settings, auto_pause: { after_ms: 0 } }));
  rig.answer = () => FAILED;
  rig.append(anAppend(0, 1));
  await rig.advance(DAY_MS);
  expect(rig.outbox.figures()).toMatchObject({ paused: null, failingSince: "2026-01-01T00:00:00.000Z" });
});

test("one success between failures starts the time anew", async () => {
  const rig = new OutboxRig(aDestination({ ...settings, auto_pause: { after_ms: 3_600_000 } }));
  rig.answer = () => FAILED;
  rig.append(anAppend(0, 1));
  await rig.advance(3_000_000);
  rig.answer = () => DELIVERED;
  await rig.advance(120_000);
  rig.answer = () => FAILED;
  rig.append(anAppend(1, 1));
  await rig.advance(3_000_000);
  expect(rig.outbox.figures().paused).toBeNull();
});

test("resume sends again to a destination that answered 410", async () => {
  const rig = new OutboxRig(aDestination());
  rig.answer = () => ({ outcomes: { result: "disable", reason: "gone", status: 410 } });
  rig.append(anAppend(0, 1));
  await rig.advance(120_000);
  expect(rig.requests.length).toBe(1);
  expect(typesOf(rig)).toEqual(["destination.disabled"]);
  rig.answer = () => DELIVERED;
  rig.drain.resume();
  await rig.advance(120_000);
  expect(rig.outbox.book()).toMatchObject({ delivered: 1 });
  expect(typesOf(rig)).toEqual(["destination.disabled", "destination.recovered"]);
});

test("dead letters are told of when they begin, and then at most once an hour", async () => {
  const rig = new OutboxRig(aDestination());
  rig.answer = () => ({ outcomes: { result: "dead", reason: "no", status: 400 } });
  for (let seq = 0; seq < 5; seq++) {
    rig.append(anAppend(seq, 1));
    await rig.advance(DEAD_TOLD_MS / 4);
  }
  expect(rig.outbox.notices(9).map(({ body }) => JSON.parse(body))).toMatchObject([
    { type: "dead_letters.growing", details: { dead_letters: 1 } },
    { type: "dead_letters.growing", details: { dead_letters: 5 } },
  ]);
});

test("a backlog near its cap is told of once until it has gone down", async () => {
  const rig = new OutboxRig(aDestination({ backlog: { max_bytes: 1_000_000 } }));
  rig.answer = () => FAILED;
  rig.append(anAppend(0, 1));
  await rig.settled();
  for (let seq = 1; seq < 12_000; seq += 1_000) rig.append(anAppend(seq, 1_000));
  expect(typesOf(rig)).toEqual(["backlog.near_limit"]);
  const { pendingBytes, maxPendingBytes } = rig.outbox.figures();
  expect(pendingBytes / maxPendingBytes).toBeGreaterThan(0.8);
});

test("notices reach the team's notifications once each; without any they are forgotten", async () => {
  const rig = new OutboxRig(aDestination());
  rig.outbox.identify({ team: "acme", destination: "hook" });
  rig.outbox.health.disabled("gone");
  rig.outbox.health.disabled("gone again");
  const sink = new OutboxRig(aDestination({ batch: { max_events: 1 } }));
  const snapshot = { team: "acme", version: 1, lanes: 1, tokens: [], bundle: null, destinations: [] };
  const to = { id: "$notifications", kind: "webhook", settings: {} };
  let refuse = true;
  const deps = {
    outbox: rig.outbox,
    snapshot: async () => ({ ...snapshot, notifications: to }),
    append: async (append: Parameters<typeof sink.append>[0]) => {
      const appended = sink.append(append);
      // Taken, but nobody hears of it: it comes again.
      if (refuse) throw new Error("lost");
      return appended;
    },
    log: () => {},
  };
  await new Notices(deps).flush();
  refuse = false;
  rig.outbox.health.disabled("a third time");
  await new Notices(deps).flush();
  await sink.settled();
  const told = sink.requests.map(({ events }) => JSON.parse(new TextDecoder().decode(events)).details.reason);
  expect(told).toEqual(["gone", "gone again", "a third time"]);
  expect(sink.outbox.identity()).toEqual({ team: "acme", destination: "$notifications" });
  sink.outbox.health.disabled("its own trouble is told to nobody");
  expect(sink.outbox.notices(9)).toEqual([]);

  rig.outbox.health.disabled("to nobody");
  await new Notices({ ...deps, snapshot: async () => snapshot }).flush();
  expect(rig.outbox.notices(9)).toEqual([]);
});
