import type { Clock } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";

/** How long Redis is left alone after a failure, so that an outage costs an isolate one wait in this time, and no request two. */
const REST_MS = 5_000;

export interface RedisLinkDeps {
  clock: Clock;
  log(record: { level: "warn" | "info"; message: string }): void;
}

/** Asks Redis where it can be asked. Without it everything goes on: what it would have said is not known. */
export class RedisLink {
  readonly #deps: RedisLinkDeps;
  #restUntil = 0;
  #lost = false;

  constructor(deps: RedisLinkDeps) {
    this.#deps = deps;
  }

  /** The answer; null where there is none, or Redis rests. Never rejects. */
  async ask<T>(question: () => Promise<T>): Promise<T | null> {
    const now = this.#deps.clock.now();
    if (this.#lost) {
      if (now < this.#restUntil) return null;
      // One request tries; the others go on without.
      this.#restUntil = now + REST_MS;
    }
    try {
      const answer = await question();
      if (this.#lost)
        this.#deps.log({ level: "info", message: "Redis answers again: duplicates are looked for there" });
      this.#lost = false;
      return answer;
    } catch (error) {
      this.#failed(error);
      return null;
    }
  }

  #failed(error: unknown): void {
    this.#restUntil = this.#deps.clock.now() + REST_MS;
    if (this.#lost) return;
    this.#lost = true;
    this.#deps.log({
      level: "warn",
      message: `Redis does not answer: duplicates are found inside a lane only (${withoutCommand(messageOf(error))})`,
    });
  }
}

/** The client's messages repeat the command, and with it uuids. */
export function withoutCommand(message: string): string {
  return message.replace(/, command was: .*/s, "");
}
