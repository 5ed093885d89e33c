import { expect, test } from "vitest";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { attempt } from "./attempt.ts";
import type { DestinationKind, OutboundRequest, Sent } from "./destinations/destination.ts";
import { Kept } from "./kept.ts";
import { FakeTimers } from "./testing/fake-timers.ts";
import { aDestination } from "./testing/outbox-rig.ts";

const connect = () => {
  throw new Error("nothing connects here");
};

const request: OutboundRequest = {
  ...{ team: "acme", destination: "hook", acceptedAt: 0 },
  ...{ id: "r1", events: new TextEncoder().encode("{}\n{}"), count: 2, tokens: ["t", "t"], attempt: 1 },
};

function tryWith(send: DestinationKind["send"], secrets: string[] = []) {
  const clock = new FakeClock();
  const timers = new FakeTimers(clock);
  const kept = new Kept(timers, 0);
  const ready = aDestination();
  const destination = { ...ready, kind: { ...ready.kind, send }, secrets };
  return { timers, sent: attempt(destination, request, { clock, timers, fetch, connect, kept, print: () => {} }) };
}

test("what the kind says is passed on", async () => {
  const { sent } = tryWith(async () => ({ outcomes: { result: "delivered" } }));
  expect(await sent).toEqual({ outcomes: { result: "delivered" } });
});

test("an attempt is aborted when its time is over, and ends even if the kind does not", async () => {
  let aborted = false;
  const { timers, sent } = tryWith((_request, _settings, { signal }) => {
    signal.addEventListener("abort", () => {
      aborted = true;
    });
    return new Promise<Sent>(() => {});
  });
  await timers.advance(10_000);
  expect(aborted).toBe(true);
  await timers.advance(1_000);
  expect(await sent).toEqual({ outcomes: { result: "retry", reason: "the attempt did not end in time" } });
});

test("a kind that throws or miscounts takes nothing for delivered", async () => {
  const thrown = tryWith(() => Promise.reject(new Error("oops s3cret")), ["s3cret"]);
  expect(await thrown.sent).toMatchObject({
    outcomes: { result: "retry", reason: expect.stringContaining("oops [secret]") },
  });
  const short = tryWith(async () => ({ outcomes: [{ result: "delivered" }] }));
  expect(await short.sent).toMatchObject({
    outcomes: { result: "retry", reason: "Headwater got 1 results for 2 events" },
  });
});

test("secrets are cut out of what a destination answered (invariant 8)", async () => {
  const dead = { result: "dead" as const, reason: "bad s3cret", response: "you sent s3cret-longer and s3cret" };
  const { sent } = tryWith(async () => ({ outcomes: [dead, { result: "delivered" }] }), ["s3cret-longer", "s3cret"]);
  expect(await sent).toEqual({
    outcomes: [
      { result: "dead", reason: "bad [secret]", response: "you sent [secret] and [secret]" },
      { result: "delivered" },
    ],
  });
});
