/** Timers as an argument, so that tests run them by hand. */
export interface Timers {
  /** Runs `callback` once after `ms`; the function that it returns cancels that. */
  after(ms: number, callback: () => void): () => void;
}
