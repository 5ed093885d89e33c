/** The runtime's timer as pure code takes it: it can be waited for, and given back. */
export interface Timer {
  done: Promise<void>;
  /** Frees it; `done` then never resolves. */
  cancel(): void;
}

export function runtimeTimer(ms: number): Timer {
  const { promise, resolve } = Promise.withResolvers<void>();
  const id = setTimeout(resolve, ms);
  return { done: promise, cancel: () => clearTimeout(id) };
}
