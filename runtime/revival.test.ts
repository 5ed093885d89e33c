import { expect, it } from "vitest";
import { keepAlive, type RevivalDeps } from "./revival.ts";

const LIMITS = { lookMs: 500, backoffMs: 250, maxBackoffMs: 1_000, triesCount: 5 };
const GIVEN_UP = new Error("given up");

/** A runtime that is there for `looks` looks and then fails to start `failures` times. */
function setUp(looks: number, failures: number) {
  const calls: string[] = [];
  let over = false;
  let isUp = true;
  const deps: RevivalDeps = {
    ready: async () => {
      if (calls.filter((call) => call === "sleep 500").length > looks && isUp) {
        if (calls.includes("back")) over = true;
        else isUp = false;
      }
      if (!isUp) throw GIVEN_UP;
    },
    start: async () => {
      calls.push("start");
      if (failures-- > 0) throw new Error("cannot start");
      isUp = true;
    },
    onBack: () => calls.push("back"),
    onLost: (error) => calls.push(`lost: ${(error as Error).message}`),
    sleep: async (ms) => calls.push(`sleep ${ms}`),
    log: ({ level, tries }) => calls.push(`${level} ${tries}`),
  };
  return { calls, deps, isOver: () => over, end: () => (over = true) };
}

it("a runtime that was given up is started again, and looked after again", async () => {
  const { calls, deps, isOver } = setUp(1, 0);
  await keepAlive(deps, isOver, LIMITS);
  expect(calls).toEqual(["sleep 500", "sleep 500", "warn 1", "start", "back", "sleep 500"]);
});

it("each further start comes later, and after the last one the runtime is lost", async () => {
  const { calls, deps, isOver } = setUp(0, 9);
  await keepAlive(deps, isOver, LIMITS);
  expect(calls.filter((call) => call.startsWith("sleep"))).toEqual(
    [500, 250, 500, 1_000, 1_000, 1_000].map((ms) => `sleep ${ms}`),
  );
  expect(calls.filter((call) => call === "start")).toHaveLength(5);
  expect(calls.slice(-2)).toEqual(["error 5", "lost: cannot start"]);
});

it("nobody starts a runtime that is stopped", async () => {
  const { calls, deps, isOver, end } = setUp(0, 0);
  const ready = () => {
    end();
    return deps.ready();
  };
  await keepAlive({ ...deps, ready }, isOver, LIMITS);
  expect(calls).toEqual(["sleep 500"]);
});
