import { expect, test } from "vitest";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { FakeTimers } from "./testing/fake-timers.ts";
import { GUARD_MS, TIMER_HORIZON_MS, Wakeups } from "./wakeups.ts";

function aScene() {
  const clock = new FakeClock(0);
  const timers = new FakeTimers(clock);
  const calls: string[] = [];
  const wake = () => void calls.push(`wake ${clock.now()}`);
  const setAlarm = (at: number) => void calls.push(`alarm ${at}`);
  return { clock, timers, calls, wakeups: new Wakeups({ clock, timers, wake, setAlarm }) };
}

test("soon is a timer, later an alarm", async () => {
  const { wakeups, timers, calls } = aScene();
  wakeups.at(TIMER_HORIZON_MS);
  await timers.advance(TIMER_HORIZON_MS);
  wakeups.at(TIMER_HORIZON_MS * 3);
  await timers.advance(TIMER_HORIZON_MS * 3);
  expect(calls).toEqual([`wake ${TIMER_HORIZON_MS}`, `alarm ${TIMER_HORIZON_MS * 3}`]);
});

test("a new time replaces the timer; null takes it away", async () => {
  const { wakeups, timers, calls } = aScene();
  wakeups.at(100);
  wakeups.at(200);
  await timers.advance(300);
  wakeups.at(400);
  wakeups.at(null);
  await timers.advance(300);
  expect(calls).toEqual(["wake 200"]);
});

test("the guard is armed once in a busy period, and again once it has fired", () => {
  const { wakeups, clock, calls } = aScene();
  wakeups.guard();
  clock.advance(10);
  wakeups.guard();
  wakeups.fired();
  wakeups.guard();
  expect(calls).toEqual([`alarm ${GUARD_MS}`, `alarm ${GUARD_MS + 10}`]);
});

test("an alarm that is past due is not trusted to come", () => {
  const { wakeups, clock, calls } = aScene();
  wakeups.guard();
  clock.advance(GUARD_MS);
  wakeups.guard();
  expect(calls).toEqual([`alarm ${GUARD_MS}`, `alarm ${GUARD_MS * 2}`]);
});

test("an alarm that comes sooner anyway is not set again, a later one is brought forward", () => {
  const { wakeups, calls } = aScene();
  wakeups.guard();
  wakeups.at(GUARD_MS * 2);
  wakeups.at(GUARD_MS / 2);
  expect(calls).toEqual([`alarm ${GUARD_MS}`, `alarm ${GUARD_MS / 2}`]);
});
