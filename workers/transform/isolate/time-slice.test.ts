import { describe, expect, it } from "vitest";
import { TimeSlice } from "./time-slice.ts";

const TURN_MS = 1;

/** Runs scripts that take so long each, as a chain does. */
function setUp() {
  let now = 0;
  let turns = 0;
  const slice = new TimeSlice(
    async () => {
      now += TURN_MS;
      turns++;
    },
    () => now,
  );
  return async (runMs: number, steps = 10, count = 500) => {
    slice.begin();
    const [from, before] = [now, turns];
    let ran = 0;
    while (ran < count) {
      now += runMs;
      slice.spend(steps);
      ran++;
      if (slice.isRestDue && (await slice.rest(ran))) break;
    }
    return { ran, turns: turns - before, tookMs: now - from, overAt: slice.overAt };
  };
}

describe("TimeSlice", () => {
  it("costs an ordinary script a few turns in its first batch, and none later", async () => {
    const run = setUp();
    expect((await run(0.02)).turns).toBeLessThan(5);
    await run(0.02);
    expect(await run(0.02)).toMatchObject({ ran: 500, turns: 0, overAt: null });
  });

  it("ends a batch of dear runs after its time, whatever steps they take", async () => {
    const run = setUp();
    for (let i = 0; i < 3; i++) {
      const { ran, tookMs, overAt } = await run(30, 1);
      expect(tookMs).toBeLessThan(300);
      expect(ran).toBeGreaterThan(3);
      expect(overAt).toBe(ran);
    }
  });

  it("lets others have a turn after each run that takes longer than the time between two", async () => {
    const run = setUp();
    expect(await run(150, 1, 2)).toMatchObject({ ran: 2, turns: 2 });
    expect(await run(900, 1)).toMatchObject({ ran: 1 });
  });

  it("lets others have a turn once as many steps were used as one event may take, cheap as they seemed", async () => {
    const run = setUp();
    for (let i = 0; i < 5; i++) await run(0.01);
    const { turns } = await run(1, 500_000, 100);
    expect(turns).toBe(100);
  });
});
