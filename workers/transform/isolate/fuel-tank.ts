/**
 * The tank that instrumented scripts burn from: a module of its own in the isolate, so that the scripts and the harness
 * share it. Once empty it stays empty until the harness fills it again.
 */
let left = 0;
let stoppedAt: Error | null = null;

/** One step of a script. */
export function burn(): void {
  if (--left < 0) stop();
}

function stop(): never {
  // Held at the border: never wraps, however often a script catches what is thrown here.
  left = 0;
  stoppedAt ??= new Error("out of fuel");
  throw stoppedAt;
}

export function refill(steps: number): void {
  left = steps;
  stoppedAt = null;
}

/** Empties the tank, so that what a script left behind (a promise, a timer) cannot run. Returns the steps that were left. */
export function drain(): number {
  const rest = left;
  left = 0;
  return rest;
}

/** The steps that are left. */
export function level(): number {
  return left;
}

/** Where the tank ran empty since the last refill; null if it did not. */
export function emptiedAt(): Error | null {
  return stoppedAt;
}
