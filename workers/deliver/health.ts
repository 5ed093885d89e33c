import type { Clock } from "../../shared/clock.ts";
import { NOTIFICATIONS } from "../../shared/notifications.ts";
import type { NoticeType, Paused } from "../../shared/outbox-api.ts";
import type { BreakerSignal } from "./breaker.ts";

/**
 * How a destination does over hours and days, where the breaker thinks in seconds: since when every attempt has failed, whether it is
 * paused, and what its team is told of that. Everything is on disk in the step that learns it, so that a restart neither forgets a pause
 * nor tells of it twice.
 */
export interface HealthDeps {
  clock: Clock;
  store: HealthStore;
  /** There is something to be told. */
  noticed: () => void;
}

interface HealthStore {
  transaction<T>(body: () => T): T;
  state(key: string): string | null;
  setState(key: string, value: string | null): void;
  insertNotice(body: string): void;
}

/** Shorter troubles are everybody's daily life: a deployment, a restart. */
export const FAILING_TOLD_MS = 5 * 60_000;
/** Dead letters that go on growing are told of again after this long. */
export const DEAD_TOLD_MS = 3_600_000;
/** The share of the backlog's cap that is told of, and the one below which it may be told again. */
const NEAR_RATIO = 0.8;
const FAR_RATIO = 0.5;

interface State {
  paused: { by: Paused["by"]; reason: string; at: number } | null;
  resumedAt: number | null;
  /** Every attempt since then has failed. */
  failing: { since: number; told: boolean } | null;
  /** It was told that nothing is sent; the next success is told too. */
  downTold: boolean;
  deadToldAt: number | null;
  nearTold: boolean;
}

const WELL: State = {
  paused: null,
  resumedAt: null,
  failing: null,
  downTold: false,
  deadToldAt: null,
  nearTold: false,
};

/** What the outbox holds. */
interface Load {
  dead: number;
  pendingBytes: number;
  /** Null: not known yet. */
  maxPendingBytes: number | null;
}

export class Health {
  readonly #deps: HealthDeps;
  #state: State;
  #dead: number;

  /** @param dead the dead letters that there are */
  constructor(deps: HealthDeps, dead: number) {
    this.#deps = deps;
    this.#dead = dead;
    this.#state = { ...WELL, ...JSON.parse(deps.store.state("health") ?? "{}") };
  }

  /** Set while nothing is sent because somebody, or a long failure, says so. */
  get paused(): Paused | null {
    const { paused } = this.#state;
    return paused === null ? null : { by: paused.by, reason: paused.reason, since: iso(paused.at) };
  }

  /** ISO 8601; null where the last attempt was no failure. */
  get failingSince(): string | null {
    const { failing } = this.#state;
    return failing === null ? null : iso(failing.since);
  }

  /** Events that came before this time count their age from it: the time of a pause is not theirs. Null: there was no pause. */
  get agesFrom(): number | null {
    return this.#state.resumedAt;
  }

  pause(reason: string): void {
    if (this.#state.paused?.by === "operator") return;
    this.#set({ paused: { by: "operator", reason, at: this.#deps.clock.now() } });
  }

  /** What was wrong is forgotten; the next attempt says how it is. */
  resume(): void {
    this.#set({ paused: null, failing: null, resumedAt: this.#deps.clock.now() });
  }

  /** @param pauseAfterMs how long it may fail before it is paused; 0: for ever */
  learn(signal: BreakerSignal, reason: string | null, pauseAfterMs: number): void {
    if (signal === "success") this.#succeeded();
    else if (signal === "failure") this.#failed(reason ?? "no answer", pauseAfterMs);
  }

  disabled(reason: string): void {
    this.#set({ downTold: true }, "destination.disabled", { reason });
  }

  /** Tells of dead letters and of a backlog that grow. Cheap where nothing has changed. */
  observe({ dead, pendingBytes, maxPendingBytes }: Load): void {
    const before = this.#dead;
    this.#dead = dead;
    const now = this.#deps.clock.now();
    const { deadToldAt, nearTold } = this.#state;
    if (dead > before && (deadToldAt === null || now - deadToldAt >= DEAD_TOLD_MS)) {
      this.#set({ deadToldAt: now }, "dead_letters.growing", { dead_letters: dead, added: dead - before });
    }
    if (maxPendingBytes === null) return;
    const ratio = pendingBytes / maxPendingBytes;
    if (!nearTold && ratio >= NEAR_RATIO) {
      const details = { pending_bytes: pendingBytes, max_bytes: maxPendingBytes };
      this.#set({ nearTold: true }, "backlog.near_limit", details);
    } else if (nearTold && ratio < FAR_RATIO) this.#set({ nearTold: false });
  }

  #succeeded(): void {
    const { failing, downTold } = this.#state;
    if (failing === null && !downTold) return;
    const since = failing === null ? {} : { failing_since: iso(failing.since) };
    if (downTold || failing?.told === true)
      this.#set({ failing: null, downTold: false }, "destination.recovered", since);
    else this.#set({ failing: null });
  }

  #failed(reason: string, pauseAfterMs: number): void {
    const now = this.#deps.clock.now();
    const { failing, paused } = this.#state;
    if (failing === null) {
      this.#set({ failing: { since: now, told: false } });
      return;
    }
    const details = { reason, failing_since: iso(failing.since) };
    if (pauseAfterMs > 0 && paused === null && now - failing.since >= pauseAfterMs) {
      const why = `every attempt since ${details.failing_since} has failed; the last answer was: ${reason}`;
      const next = { paused: { by: "failures" as const, reason: why, at: now }, downTold: true };
      this.#set(next, "destination.paused", details);
    } else if (!failing.told && now - failing.since >= FAILING_TOLD_MS) {
      this.#set({ failing: { ...failing, told: true } }, "destination.failing", details);
    }
  }

  #set(change: Partial<State>, type?: NoticeType, details: Record<string, unknown> = {}): void {
    const state = { ...this.#state, ...change };
    const identity = JSON.parse(this.#deps.store.state("identity") ?? "null") as {
      team: string;
      destination: string;
    } | null;
    // Notices about notifications would only make more of them.
    const isTold = type !== undefined && identity !== null && identity.destination !== NOTIFICATIONS;
    this.#deps.store.transaction(() => {
      this.#deps.store.setState("health", JSON.stringify(state));
      if (!isTold) return;
      const at = iso(this.#deps.clock.now());
      this.#deps.store.insertNotice(JSON.stringify({ type, ...identity, at, details }));
    });
    this.#state = state;
    if (isTold) this.#deps.noticed();
  }
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
