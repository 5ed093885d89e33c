import { describe, expect, it } from "vitest";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { Turns } from "./turns.ts";

/** Time goes on when every request waits; a request that has left never hears of its timer. */
function setUp() {
  const clock = new FakeClock();
  const turns = new Turns({ clock, wait: () => new Promise((resolve) => timers.push(resolve)) });
  let timers: (() => void)[] = [];
  const pass = async (ms: number) => {
    for (let i = 0; i < ms; i++) {
      clock.advance(1);
      const due = timers;
      timers = [];
      for (const timer of due) timer();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const loseTimer = (position: number) => timers.splice(position, 1);
  return { turns, pass, loseTimer };
}

describe("Turns", () => {
  it("gives one turn at a time, in order of arrival, and not to a newcomer before those who wait", async () => {
    const { turns, pass } = setUp();
    const order: number[] = [];
    expect(await turns.take("a", 1_000)).toBe(true);
    for (const id of [1, 2, 3]) turns.take("a", 1_000).then(() => order.push(id));
    await pass(20);
    expect(order).toEqual([]);
    turns.give();
    turns.take("a", 1_000).then(() => order.push(4));
    await pass(2);
    expect(order).toEqual([1]);
    for (let i = 0; i < 3; i++) {
      turns.give();
      await pass(20);
    }
    expect(order).toEqual([1, 2, 3, 4]);
  });

  it("answers false after the time-out, and leaves the line", async () => {
    const { turns, pass } = setUp();
    await turns.take("a", 1_000);
    const late = turns.take("a", 50);
    const patient = turns.take("a", 1_000);
    await pass(60);
    expect(await late).toBe(false);
    turns.give();
    await pass(5);
    expect(await patient).toBe(true);
  });

  it("lets a bundle whose batches are short go before long ones that have waited for longer, and before unknown ones", async () => {
    const { turns, pass } = setUp();
    const order: string[] = [];
    const run = async (bundle: string, ms: number) => {
      await turns.take(bundle, 10_000);
      order.push(bundle);
      await pass(ms);
      turns.give();
    };
    await run("short", 1);
    await run("long", 500);
    await turns.take("any", 1_000);
    for (const bundle of ["long", "new", "short"]) turns.take(bundle, 10_000).then(() => order.push(bundle));
    for (let i = 0; i < 4; i++) {
      await pass(20);
      turns.give();
    }
    expect(order.slice(2)).toEqual(["short", "new", "long"]);
  });

  it("starves nobody: a bundle whose batches are long has its share beside short ones that never pause", async () => {
    const { turns, pass } = setUp();
    const used = { short: 0, long: 0 };
    const goOn = async (bundle: "short" | "long", ms: number) => {
      for (;;) {
        await turns.take(bundle, 100_000);
        await pass(ms);
        used[bundle] += ms;
        turns.give();
      }
    };
    void goOn("short", 5);
    void goOn("short", 5);
    void goOn("long", 100);
    await pass(20_000);
    expect(used.long).toBeGreaterThan(used.short / 2);
    expect(used.short).toBeGreaterThan(used.long / 2);
  });

  it("passes by a request whose client has left", async () => {
    const { turns, pass, loseTimer } = setUp();
    await turns.take("a", 10_000);
    turns.take("a", 10_000);
    const next = turns.take("a", 10_000);
    loseTimer(0);
    turns.give();
    await pass(150);
    expect(await Promise.race([next, "waiting"])).toBe("waiting");
    await pass(150);
    expect(await next).toBe(true);
  });
});
