/**
 * When to kill and start the sandbox process: the decisions, without the process (workerd-process.ts) and the loop around it (sandbox-process.ts).
 * Locally nothing inside workerd limits a script's time or memory, so this is what stands between one team's script and the rest.
 *
 * A probe that is not answered means a hang only if the process has burnt CPU meanwhile: on a machine that is overloaded
 * everything answers late, and killing would make it worse.
 */
export interface SupervisorLimits {
  /** A probe unanswered for this long, with CPU burnt meanwhile, is a hang. */
  hangMs: number;
  /** CPU burnt since that probe which proves the hang. */
  hangCpuMs: number;
  /** A probe unanswered for this long is a hang without any proof. */
  stuckMs: number;
  /** How long a start may take. */
  startMs: number;
  /** Resident memory. */
  rssBytes: number;
  /** Pause after the first crash before being healthy; doubles with each further one. */
  backoffMs: number;
  maxBackoffMs: number;
}

/**
 * An honest batch of 500 events keeps the loop for tens of milliseconds, and one that costs more lets go of it now and then; 64 isolates
 * need some 300 MB. Everybody waits for what hangs: noticing it, the new start and their own events have to fit into two seconds.
 */
export const DEFAULT_SUPERVISOR_LIMITS: SupervisorLimits = {
  hangMs: 600,
  hangCpuMs: 400,
  stuckMs: 15_000,
  startMs: 15_000,
  rssBytes: 1024 ** 3,
  backoffMs: 250,
  maxBackoffMs: 10_000,
};

export interface Running {
  phase: "running";
  startedAt: number;
  /** Whether it has answered since it started. */
  healthy: boolean;
  /** The probe that waits for its answer; `cpuMs` null where the platform does not tell. */
  asked: { at: number; cpuMs: number | null } | null;
  /** A kill has been asked for and its exit not seen. */
  killed: boolean;
  /** Exits in a row before being healthy. */
  failures: number;
}

export interface Down {
  phase: "down";
  startAt: number;
  failures: number;
}

export type SupervisorState = Running | Down;

export type Observation =
  | { kind: "started" }
  | { kind: "asked"; cpuMs: number | null }
  | { kind: "answered" }
  /** The probe failed at once: nobody listens, or the connection broke. */
  | { kind: "unreachable" }
  /** Taken at every tick; nulls while it is down, and where the platform does not tell. */
  | { kind: "sampled"; cpuMs: number | null; rssBytes: number | null }
  | { kind: "exited" };

export type Action = { kind: "kill"; reason: string } | { kind: "start" };

export interface Step {
  state: SupervisorState;
  action: Action | null;
}

export function initialState(now: number): SupervisorState {
  return { phase: "down", startAt: now, failures: 0 };
}

/** What follows from an observation. Pure. */
export function supervise(state: SupervisorState, seen: Observation, now: number, limits: SupervisorLimits): Step {
  switch (seen.kind) {
    case "started":
      return leave({
        phase: "running",
        startedAt: now,
        healthy: false,
        asked: null,
        killed: false,
        failures: state.failures,
      });
    case "exited":
      return state.phase === "down" ? leave(state) : afterExit(state, now, limits);
    case "sampled":
      if (state.phase === "down") return { state, action: now >= state.startAt ? { kind: "start" } : null };
      return afterSample(state, seen, now, limits);
    case "asked":
      return leave(state.phase === "down" ? state : { ...state, asked: { at: now, cpuMs: seen.cpuMs } });
    case "answered":
      return leave(state.phase === "down" ? state : { ...state, asked: null, healthy: true, failures: 0 });
    case "unreachable":
      return leave(state.phase === "down" ? state : { ...state, asked: null });
  }
}

function leave(state: SupervisorState): Step {
  return { state, action: null };
}

function afterExit(state: Running, now: number, limits: SupervisorLimits): Step {
  // What had answered was killed or killed itself over a batch: the next batch waits for it.
  if (state.healthy) return { state: { phase: "down", startAt: now, failures: 0 }, action: { kind: "start" } };
  const pause = Math.min(limits.maxBackoffMs, limits.backoffMs * 2 ** state.failures);
  return leave({ phase: "down", startAt: now + pause, failures: state.failures + 1 });
}

function afterSample(
  state: Running,
  { cpuMs, rssBytes }: { cpuMs: number | null; rssBytes: number | null },
  now: number,
  limits: SupervisorLimits,
): Step {
  if (state.killed) return leave(state);
  const reason = killReason(state, cpuMs, rssBytes, now, limits);
  return reason === null ? leave(state) : { state: { ...state, killed: true }, action: { kind: "kill", reason } };
}

function killReason(
  state: Running,
  cpuMs: number | null,
  rssBytes: number | null,
  now: number,
  limits: SupervisorLimits,
): string | null {
  if (rssBytes !== null && rssBytes > limits.rssBytes) {
    return `it holds ${rssBytes} bytes of memory, more than ${limits.rssBytes}`;
  }
  if (!state.healthy && now - state.startedAt > limits.startMs) return "it has not answered since its start";
  if (state.asked === null) return null;
  const waited = now - state.asked.at;
  const burnt = cpuMs === null || state.asked.cpuMs === null ? null : cpuMs - state.asked.cpuMs;
  // Where CPU cannot be read, the wall has to do.
  const proven = burnt === null || burnt >= limits.hangCpuMs;
  if (waited >= limits.stuckMs || (waited >= limits.hangMs && proven)) return `it has not answered for ${waited} ms`;
  return null;
}
