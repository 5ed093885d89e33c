import type { ScriptError } from "../../../shared/sandbox-api.ts";

/** A script that puts the event into its message would make one entry an event. */
const MESSAGES_PER_BATCH_COUNT = 50;
const OTHERS = "more errors with other messages";

/** Counts what went wrong in a batch, by script and message. */
export class ErrorBook {
  readonly #entries = new Map<string, ScriptError>();

  add(script: string, message: string, index: number): void {
    const full = this.#entries.size >= MESSAGES_PER_BATCH_COUNT;
    if (!this.#bump(script, message)) this.#open(script, full ? OTHERS : message, index);
  }

  #bump(script: string, message: string): boolean {
    const entry = this.#entries.get(keyOf(script, message));
    if (entry !== undefined) entry.count++;
    return entry !== undefined;
  }

  #open(script: string, message: string, index: number): void {
    if (message === OTHERS && this.#bump(script, message)) return;
    this.#entries.set(keyOf(script, message), { script, message, count: 1, index });
  }

  list(): ScriptError[] {
    return [...this.#entries.values()];
  }
}

function keyOf(script: string, message: string): string {
  return `${script}\n${message}`;
}
