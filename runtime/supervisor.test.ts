import { describe, expect, it } from "vitest";
import {
  initialState,
  type Observation,
  type SupervisorLimits,
  type SupervisorState,
  supervise,
} from "./supervisor.ts";

const limits: SupervisorLimits = {
  hangMs: 2_000,
  hangCpuMs: 1_000,
  stuckMs: 15_000,
  startMs: 10_000,
  rssBytes: 1_000,
  backoffMs: 100,
  maxBackoffMs: 350,
};

const IDLE = { kind: "sampled", cpuMs: 0, rssBytes: 1 } as const;

/** Feeds observations, each with its time; returns the actions that came of them. */
function play(state: SupervisorState, ...seen: [at: number, observation: Observation][]) {
  const actions: string[] = [];
  let current = state;
  for (const [at, observation] of seen) {
    const step = supervise(current, observation, at, limits);
    current = step.state;
    if (step.action !== null) {
      actions.push(`${at} ${step.action.kind}${step.action.kind === "kill" ? `: ${step.action.reason}` : ""}`);
    }
  }
  return { state: current, actions };
}

/** Started at 0, answered at 10. */
function healthy(): SupervisorState {
  return play(initialState(0), [0, { kind: "started" }], [10, { kind: "answered" }]).state;
}

describe("supervise", () => {
  it("starts what is down", () => {
    expect(play(initialState(0), [0, IDLE]).actions).toEqual(["0 start"]);
  });

  it("leaves a process alone that answers", () => {
    const { actions } = play(
      healthy(),
      [1_000, { kind: "asked", cpuMs: 0 }],
      [1_500, { kind: "sampled", cpuMs: 500, rssBytes: 1 }],
      [2_900, { kind: "answered" }],
      [9_000, { kind: "sampled", cpuMs: 8_000, rssBytes: 1_000 }],
    );
    expect(actions).toEqual([]);
  });

  it("kills what does not answer for two seconds and burns CPU", () => {
    const { actions } = play(
      healthy(),
      [1_000, { kind: "asked", cpuMs: 50 }],
      [2_900, { kind: "sampled", cpuMs: 1_900, rssBytes: 1 }],
      [3_000, { kind: "sampled", cpuMs: 2_000, rssBytes: 1 }],
    );
    expect(actions).toEqual(["3000 kill: it has not answered for 2000 ms"]);
  });

  it("spares what does not answer because it gets no CPU, until it is stuck", () => {
    const { actions } = play(
      healthy(),
      [1_000, { kind: "asked", cpuMs: 50 }],
      [9_000, { kind: "sampled", cpuMs: 1_000, rssBytes: 1 }],
      [16_000, { kind: "sampled", cpuMs: 1_000, rssBytes: 1 }],
    );
    expect(actions).toEqual(["16000 kill: it has not answered for 15000 ms"]);
  });

  it("goes by the wall where CPU cannot be read", () => {
    const { actions } = play(
      healthy(),
      [1_000, { kind: "asked", cpuMs: null }],
      [3_000, { kind: "sampled", cpuMs: null, rssBytes: null }],
    );
    expect(actions).toEqual(["3000 kill: it has not answered for 2000 ms"]);
  });

  it("kills what grows past its memory limit, once", () => {
    const { actions } = play(
      healthy(),
      [500, { kind: "sampled", cpuMs: 0, rssBytes: 1_000 }],
      [600, { kind: "sampled", cpuMs: 0, rssBytes: 1_001 }],
      [700, { kind: "sampled", cpuMs: 0, rssBytes: 2_000 }],
    );
    expect(actions).toEqual(["600 kill: it holds 1001 bytes of memory, more than 1000"]);
  });

  it("starts again at once what had answered", () => {
    const killed = play(healthy(), [600, { kind: "sampled", cpuMs: 0, rssBytes: 5_000 }]).state;
    expect(play(killed, [650, { kind: "exited" }]).actions).toEqual(["650 start"]);
    expect(play(healthy(), [650, { kind: "exited" }]).actions).toEqual(["650 start"]);
  });

  it("waits longer after each start that ends without an answer, up to a limit, and forgets once it answers", () => {
    let state = initialState(0);
    const pauses: number[] = [];
    for (let now = 0; pauses.length < 4; ) {
      state = play(state, [now, { kind: "started" }], [now, { kind: "exited" }]).state;
      const from = now;
      while (play(state, [now, IDLE]).actions.length === 0) now++;
      pauses.push(now - from);
    }
    expect(pauses).toEqual([100, 200, 350, 350]);
    const answered = play(state, [9_000, { kind: "started" }], [9_001, { kind: "answered" }]).state;
    expect(play(answered, [9_002, { kind: "exited" }]).actions).toEqual(["9002 start"]);
  });

  it("kills what never answers after its start", () => {
    const { actions } = play(
      initialState(0),
      [0, { kind: "started" }],
      [100, { kind: "asked", cpuMs: 0 }],
      [110, { kind: "unreachable" }],
      [10_000, IDLE],
      [10_001, IDLE],
    );
    expect(actions).toEqual(["10001 kill: it has not answered since its start"]);
  });

  it("takes a broken connection for no hang", () => {
    const { actions } = play(
      healthy(),
      [1_000, { kind: "asked", cpuMs: 0 }],
      [1_001, { kind: "unreachable" }],
      [9_000, { kind: "sampled", cpuMs: 8_000, rssBytes: 1 }],
    );
    expect(actions).toEqual([]);
  });

  it("ignores late observations of a process that has ended", () => {
    const down = play(initialState(0), [0, { kind: "started" }], [1, { kind: "exited" }]).state;
    const late = play(down, [2, { kind: "answered" }], [3, { kind: "asked", cpuMs: 0 }], [4, { kind: "exited" }]);
    expect(late.state).toEqual(down);
    expect(late.actions).toEqual([]);
  });
});
