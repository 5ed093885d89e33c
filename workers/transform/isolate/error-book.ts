import type { ScriptError } from "../../../shared/sandbox-api.ts";

/** A script that puts the event into its message would make one entry an event. */
const MESSAGES_PER_BATCH_COUNT = 50;
const OTHERS = "more errors with other messages";

/** What went wrong once, for the script's author. */
export interface Problem {
  message: string;
  /** In the author's lines; empty where there is none, or where the book has the message already. */
  stack: string[];
}

/** Counts what went wrong in a batch, by script and message. */
export class ErrorBook {
  readonly #entries = new Map<string, ScriptError>();

  has(script: string, message: string): boolean {
    return this.#entries.has(keyOf(script, message));
  }

  add(script: string, { message, stack }: Problem, index: number): void {
    if (this.#bump(script, message)) return;
    if (this.#entries.size < MESSAGES_PER_BATCH_COUNT) this.#open(script, { message, stack }, index);
    else if (!this.#bump(script, OTHERS)) this.#open(script, { message: OTHERS, stack: [] }, index);
  }

  #bump(script: string, message: string): boolean {
    const entry = this.#entries.get(keyOf(script, message));
    if (entry !== undefined) entry.count++;
    return entry !== undefined;
  }

  #open(script: string, { message, stack }: Problem, index: number): void {
    const entry: ScriptError = { script, message, count: 1, index };
    if (stack.length > 0) entry.stack = stack;
    this.#entries.set(keyOf(script, message), entry);
  }

  list(): ScriptError[] {
    return [...this.#entries.values()];
  }
}

function keyOf(script: string, message: string): string {
  return `${script}\n${message}`;
}
