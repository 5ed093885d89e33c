import type { Clock } from "../../shared/clock.ts";
import type { Timers } from "./timers.ts";

/**
 * When an outbox comes back to its work. Soon: a timer, which costs nothing. Later, or should the object be evicted or the process
 * die: an alarm, which is a row written each time it is set. An alarm whose time is past is not trusted to come: platforms have lost
 * some, so it counts as none. The cron sweep stands behind both.
 */
export interface WakeupDeps {
  clock: Clock;
  timers: Timers;
  setAlarm: (at: number) => void;
  wake: () => void;
}

/** An idle object may be evicted after 10 s, and its timers with it. */
export const TIMER_HORIZON_MS = 8_000;
/** Longer than any attempt may usually take, so that a busy object is not woken for nothing. */
export const GUARD_MS = 30_000;

export class Wakeups {
  readonly #deps: WakeupDeps;
  #cancel: (() => void) | null = null;
  /** What this incarnation has set. */
  #alarmAt: number | null = null;

  constructor(deps: WakeupDeps) {
    this.#deps = deps;
  }

  /** Wakes at `at`, or earlier; replaces the time before. Null: not at all. */
  at(at: number | null): void {
    this.#cancel?.();
    this.#cancel = null;
    if (at === null) return;
    const now = this.#deps.clock.now();
    if (at - now <= TIMER_HORIZON_MS) {
      this.#cancel = this.#deps.timers.after(Math.max(0, at - now), this.#deps.wake);
      return;
    }
    const set = this.#alarmAt;
    if (set === null || set <= now || set > at) this.#set(at);
  }

  /** To be called whenever there is work: makes sure that an alarm is on its way. */
  guard(): void {
    const now = this.#deps.clock.now();
    if (this.#alarmAt === null || this.#alarmAt <= now) this.#set(now + GUARD_MS);
  }

  /** The alarm has come. */
  fired(): void {
    this.#alarmAt = null;
  }

  #set(at: number): void {
    this.#alarmAt = at;
    this.#deps.setAlarm(at);
  }
}
