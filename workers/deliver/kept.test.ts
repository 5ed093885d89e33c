import { expect, test } from "vitest";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { Kept } from "./kept.ts";
import { FakeTimers } from "./testing/fake-timers.ts";

const IDLE_MS = 1_000;

function aKept() {
  const timers = new FakeTimers(new FakeClock());
  const calls: string[] = [];
  const kept = new Kept(timers, IDLE_MS);
  const use = (name: string, work: () => Promise<void> = async () => {}) =>
    kept.use(
      name,
      () => {
        calls.push(`open ${name}`);
        return { close: () => calls.push(`close ${name}`) };
      },
      work,
    );
  return { timers, calls, use };
}

test("what is held is used again, and closed once nobody has used it for a while", async () => {
  const { timers, calls, use } = aKept();
  await use("a");
  await timers.advance(IDLE_MS - 1);
  await use("a");
  await timers.advance(IDLE_MS - 1);
  expect(calls).toEqual(["open a"]);
  await timers.advance(1);
  expect(calls).toEqual(["open a", "close a"]);
  await use("a");
  expect(calls.at(-1)).toBe("open a");
});

test("another name closes what is held", async () => {
  const { timers, calls, use } = aKept();
  await use("a");
  await use("b");
  expect(calls).toEqual(["open a", "close a", "open b"]);
  await timers.advance(IDLE_MS);
  expect(calls).toEqual(["open a", "close a", "open b", "close b"]);
});

test("the time of one that is in use does not run", async () => {
  const { timers, calls, use } = aKept();
  let end = () => {};
  const running = use("a", () => new Promise((resolve) => (end = resolve)));
  await timers.advance(10 * IDLE_MS);
  expect(calls).toEqual(["open a"]);
  end();
  await running;
  await timers.advance(IDLE_MS);
  expect(calls).toEqual(["open a", "close a"]);
});

test("work that fails leaves the thing open for the next", async () => {
  const { calls, use } = aKept();
  await expect(use("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await use("a");
  expect(calls).toEqual(["open a"]);
});
