/**
 * Miniflare brings a crashed runtime back once. Where that start fails too, because what killed it is still there, it gives up and says
 * so to whoever asks; the process lives on and serves nothing. Here is who asks, and starts it again until it stays or there is no hope.
 */
export interface RevivalDeps {
  /** Rejects once the runtime has been given up. */
  ready(): Promise<unknown>;
  /** Starts it. Rejects where it does not come. */
  start(): Promise<void>;
  /** It serves again. */
  onBack(): void;
  /** It does not come back, and nobody tries any more. */
  onLost(error: unknown): void;
  sleep(ms: number): Promise<unknown>;
  log(record: { level: "warn" | "error"; message: string; tries: number }): void;
}

export interface RevivalLimits {
  /** How often the runtime is asked for. */
  lookMs: number;
  /** Pause before the second start; doubles with each further one. */
  backoffMs: number;
  maxBackoffMs: number;
  /** Starts in a row: about a minute. A supervisor of the machine can do more than this, once the process ends. */
  triesCount: number;
}

export const DEFAULT_REVIVAL_LIMITS: RevivalLimits = {
  lookMs: 500,
  backoffMs: 250,
  maxBackoffMs: 10_000,
  triesCount: 10,
};

/** Looks after the runtime until `isOver` says so, or it is lost. Never rejects. */
export async function keepAlive(
  deps: RevivalDeps,
  isOver: () => boolean,
  limits: RevivalLimits = DEFAULT_REVIVAL_LIMITS,
): Promise<void> {
  while (!isOver()) {
    await deps.sleep(limits.lookMs);
    try {
      await deps.ready();
    } catch (error) {
      if (isOver()) return;
      if (!(await revive(deps, isOver, limits, error))) return;
    }
  }
}

/** False where it is lost, or nobody wants it any more. */
async function revive(
  deps: RevivalDeps,
  isOver: () => boolean,
  limits: RevivalLimits,
  given: unknown,
): Promise<boolean> {
  let error = given;
  let pauseMs = limits.backoffMs;
  for (let tries = 1; tries <= limits.triesCount; tries++) {
    deps.log({ level: "warn", message: "the core did not come back after a crash: it is started again", tries });
    try {
      await deps.start();
      deps.onBack();
      return true;
    } catch (failure) {
      error = failure;
    }
    await deps.sleep(pauseMs);
    if (isOver()) return false;
    pauseMs = Math.min(2 * pauseMs, limits.maxBackoffMs);
  }
  deps.log({ level: "error", message: "the core cannot be started any more", tries: limits.triesCount });
  deps.onLost(error);
  return false;
}
