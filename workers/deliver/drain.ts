import type { Clock, Random } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";
import type { OutboxStatus } from "../../shared/outbox-api.ts";
import { admission, type BreakerSignal, type BreakerState, breakerAfter, breakerAt, CLOSED } from "./breaker.ts";
import type { Answer, Outcome, RequestLimits, Sent } from "./destinations/destination.ts";
import type { Outbox } from "./outbox.ts";
import type { LoadedDestination, ReadyDestination } from "./outbox-config.ts";
import { RateLimiter } from "./rate-limit.ts";
import { backoff } from "./retry.ts";
import type { Work } from "./work.ts";

/**
 * Empties an outbox: decides what is sent now, sends it, settles it, and says when to come back.
 *
 * Invariants: 3 (a destination in one order has one request under way, and a failed one holds back those behind it; where each user
 * has an order, user-queue.ts holds back that user's), 4 (it waits for its own destination only), 5 (events leave the outbox in the transaction that books them). Memory: the requests under way and
 * the chunk at the cursor. `kick` starts whatever may start and returns; answers and wakeups kick again.
 */
export interface DrainDeps {
  outbox: Outbox;
  clock: Clock;
  random: Random;
  /** Reads the destination's configuration; throws where it cannot be read now. */
  load: (team: string, destination: string) => Promise<LoadedDestination>;
  /** Makes one attempt; never throws. */
  attempt: (destination: ReadyDestination, team: string, work: Work) => Promise<Sent>;
  /** Has `kick` called at that time, or earlier; replaces the time before. Null: no need. */
  schedule: (at: number | null) => void;
  /** Runs `flush` a few milliseconds later: what was delivered meanwhile is booked in one commit. */
  soon: (flush: () => void) => void;
  /** Keeps the object alive until the promise settles. */
  keepAlive: (work: Promise<unknown>) => void;
  /** One record for the operator: counts and reasons, no payloads. */
  log: (record: Record<string, unknown>) => void;
}

/** After a failed write: long enough for a full disk not to be hammered, short enough for nobody to wait. */
const BROKEN_MS = 5_000;
const MIN_RELOAD_MS = 1_000;
const MAX_RELOAD_MS = 60_000;

/** What one look at the outbox comes to: something was started, or there is nothing to do before a time (null: before a change). */
type Step = "started" | number | null;

export class Drain {
  readonly #deps: DrainDeps;
  #config: LoadedDestination | null = null;
  #loading: Promise<void> | null = null;
  #reload = { failures: 0, at: null as number | null };
  #breaker: BreakerState = CLOSED;
  readonly #underWay = new Set<Promise<void>>();
  /** Delivered whole and not booked yet; their events still count as under way. A crash now would send them again. */
  #delivered: { destination: ReadyDestination; work: Work; sent: Sent; startedAt: number }[] = [];
  /**
   * Set once a write has failed: memory may be ahead of the rows, and a later write would put that on disk. So nothing is booked until
   * memory is built anew; what ends meanwhile is pending again, and goes out once more.
   */
  #brokenUntil: number | null = null;
  #lastError: string | null = null;
  readonly #rate = new RateLimiter();
  /** When the rate limit lets the next request go; null where nothing waits for it. */
  #rateLimitedUntil: number | null = null;
  /** Whether the last request was one that had failed before. */
  #retriedLast = false;

  constructor(deps: DrainDeps) {
    this.#deps = deps;
  }

  /** Starts whatever may start. Never throws. */
  kick(): void {
    const now = this.#deps.clock.now();
    let until: number | null;
    try {
      until = this.#start(now);
    } catch (error) {
      until = this.#break(error);
    }
    if (this.#reload.at !== null && now >= this.#reload.at) void this.load();
    this.#deps.schedule(earliest(until, this.#reload.at));
  }

  /** Somebody says that the destination is well again: an open breaker does not wait for its cool-down. */
  trust(): void {
    this.#breaker = CLOSED;
  }

  /** Somebody wants it to be sent to again, whatever stopped it. */
  resume(): void {
    const { outbox } = this.#deps;
    if (outbox.disabled() !== null) outbox.setDisabled(null);
    outbox.health.resume();
    this.trust();
    this.kick();
  }

  /** Reads the configuration again, then kicks. Where that fails the one before stays in force and it tries again. */
  load(): Promise<void> {
    const identity = this.#deps.outbox.identity();
    if (identity === null) return Promise.resolve();
    if (this.#loading === null) {
      this.#reload.at = null;
      this.#loading = this.#read(identity).finally(() => {
        this.#loading = null;
        this.kick();
      });
      this.#deps.keepAlive(this.#loading);
    }
    return this.#loading;
  }

  /** Resolves when what is under way now has ended. */
  async quiet(): Promise<void> {
    await this.#loading;
    await Promise.all(this.#underWay);
    this.#settleDelivered();
  }

  condition(): Pick<OutboxStatus, "breaker" | "disabled" | "lastError" | "rateLimitedUntil"> {
    const held = this.#config === null || this.#config.state === "ready" ? null : this.#config.reason;
    return {
      breaker: breakerAt(this.#breaker, this.#deps.clock.now()).state,
      disabled: held ?? this.#deps.outbox.disabled()?.reason ?? null,
      lastError: this.#lastError,
      rateLimitedUntil: this.#rateLimitedUntil === null ? null : new Date(this.#rateLimitedUntil).toISOString(),
    };
  }

  #start(now: number): number | null {
    if (this.#brokenUntil !== null) {
      if (this.#underWay.size > 0) return null;
      if (now < this.#brokenUntil) return this.#brokenUntil;
      this.#delivered = [];
      this.#deps.outbox.rebuild();
      this.#brokenUntil = null;
    }
    for (;;) {
      const step = this.#step(now);
      if (step !== "started") return step;
    }
  }

  #step(now: number): Step {
    const { outbox } = this.#deps;
    if (outbox.pending().count === 0) return null;
    if (this.#config === null) {
      if (this.#reload.at === null) void this.load();
      return null;
    }
    if (this.#config.state !== "ready") return null;
    const { kind, settings } = this.#config;
    const isOrderedByUser = kind.ordered(settings) === "user";
    if (isOrderedByUser !== outbox.isOrderedByUser) {
      if (this.#underWay.size > 0 || this.#delivered.length > 0) return null;
      outbox.orderByUser(isOrderedByUser);
    }
    // A step at a time, so that appends get their turn.
    // What waits because somebody said so does not grow old.
    if (outbox.health.paused !== null) return null;
    const maxAgeMs = settings.retry.max_age_ms;
    const agesFrom = outbox.health.agesFrom ?? 0;
    if (now - maxAgeMs >= agesFrom && this.#expire(now, maxAgeMs)) return now;
    const step = this.#sendAdmitted(this.#config, now);
    if (step === "started") return step;
    const oldestAt = outbox.oldestAt();
    return earliest(step, oldestAt === null ? null : Math.max(oldestAt, agesFrom) + maxAgeMs);
  }

  #sendAdmitted(destination: ReadyDestination, now: number): Step {
    if (this.#deps.outbox.disabled() !== null || this.#deps.outbox.health.paused !== null) return null;
    const admitted = admission(this.#breaker, now);
    if (admitted.until !== null) return admitted.until;
    return this.#sendNext(destination, admitted.slots - this.#underWay.size, now);
  }

  #sendNext(destination: ReadyDestination, slots: number, now: number): Step {
    const { outbox } = this.#deps;
    const { kind, settings } = destination;
    this.#rateLimitedUntil = null;
    const asked = kind.limits(settings);
    const limits = { ...asked, maxEvents: Math.min(asked.maxEvents, this.#rate.maxEvents) };
    const inOneOrder = kind.ordered(settings) === true;
    const free = Math.min(slots, (inOneOrder ? 1 : limits.concurrency) - this.#underWay.size);
    if (free <= 0) return null;
    const next = this.#next(limits, inOneOrder, now);
    if (next === null || typeof next === "number") return next;
    const limited = this.#rate.until(now);
    if (limited !== null) {
      this.#rateLimitedUntil = limited;
      return limited;
    }
    const work = next === "fresh" ? outbox.takeFresh(limits) : outbox.takeRetry(next.retry);
    if (work === null) throw new Error("events wait and none could be read");
    this.#rate.take(work.count, now);
    this.#retriedLast = next !== "fresh";
    return this.#run(destination, work);
  }

  /** What goes next: failed requests that are due and fresh events in turns, so that neither keeps the other from going. */
  #next(limits: RequestLimits, inOneOrder: boolean, now: number): "fresh" | { retry: number } | number | null {
    const { outbox } = this.#deps;
    const retry = outbox.nextRetry(inOneOrder);
    const isDue = retry !== null && retry.nextAt <= now;
    if (isDue && (inOneOrder || !this.#retriedLast)) return { retry: retry.id };
    if (retry !== null && inOneOrder) return retry.nextAt;
    const { count, bytes, oldestAt, alone } = outbox.next(limits);
    const isFull = alone || count >= limits.maxEvents || bytes >= limits.maxBytes;
    const freshAt = count === 0 ? null : isFull ? now : (oldestAt ?? now) + limits.maxWaitMs;
    if (freshAt !== null && freshAt <= now) return "fresh";
    if (isDue) return { retry: retry.id };
    return earliest(freshAt, retry?.nextAt ?? null);
  }

  #run(destination: ReadyDestination, work: Work): "started" {
    const run = this.#attempt(destination, work).finally(() => {
      this.#underWay.delete(run);
      this.kick();
    });
    this.#underWay.add(run);
    this.#deps.keepAlive(run);
    return "started";
  }

  async #attempt(destination: ReadyDestination, work: Work): Promise<void> {
    const { team } = this.#deps.outbox.identity() as { team: string };
    const startedAt = this.#deps.clock.now();
    const sent = await this.#deps.attempt(destination, team, work);
    if (this.#brokenUntil !== null) return;
    if (isDelivered(sent)) {
      if (this.#delivered.push({ destination, work, sent, startedAt }) === 1)
        this.#deps.soon(() => this.#settleDelivered());
      return;
    }
    try {
      const nextAt = this.#deps.outbox.settle(work, sent, destination.settings.retry);
      this.#learn(destination, work, sent, startedAt, nextAt);
    } catch (error) {
      this.#break(error);
    }
  }

  #settleDelivered(): void {
    const delivered = this.#delivered;
    if (delivered.length === 0 || this.#brokenUntil !== null) return;
    this.#delivered = [];
    try {
      this.#deps.outbox.settleDelivered(delivered.map(({ work }) => work));
      for (const { destination, work, sent, startedAt } of delivered)
        this.#learn(destination, work, sent, startedAt, null);
    } catch (error) {
      this.#break(error);
    }
    this.kick();
  }

  #learn(destination: ReadyDestination, work: Work, sent: Sent, startedAt: number, nextAt: number | null): void {
    const { outbox, clock, random } = this.#deps;
    const now = clock.now();
    this.#breaker = breakerAfter(this.#breaker, breakerSignal(sent), now, random);
    const trouble = troubleOf(sent);
    this.#lastError = trouble?.reason ?? null;
    outbox.health.learn(breakerSignal(sent), this.#lastError, destination.settings.auto_pause.after_ms);
    if (trouble === null) return;
    if (trouble.result === "disable" && this.#config === destination) {
      outbox.setDisabled({ reason: trouble.reason, fingerprint: destination.fingerprint });
    }
    while (outbox.trimDeadLetters());
    this.#log("attempt failed", {
      ...{
        request: work.id,
        attempt: work.attempt,
        events: work.count,
        result: trouble.result,
        reason: trouble.reason,
      },
      ...{ status: trouble.status ?? null, duration_ms: now - startedAt, breaker: this.#breaker.state },
      next_at: nextAt === null ? null : new Date(nextAt).toISOString(),
    });
  }

  #expire(now: number, maxAgeMs: number): boolean {
    const reason = `not delivered within ${maxAgeMs / 1_000} s (retry.max_age_ms)`;
    const before = this.#deps.outbox.book().dead;
    if (!this.#deps.outbox.expire(now - maxAgeMs, reason)) return false;
    this.#log("events too old, now dead letters", { events: this.#deps.outbox.book().dead - before });
    while (this.#deps.outbox.trimDeadLetters());
    return true;
  }

  async #read({ team, destination }: { team: string; destination: string }): Promise<void> {
    try {
      const loaded = await this.#deps.load(team, destination);
      this.#apply(loaded);
      this.#reload.failures = 0;
    } catch (error) {
      const { clock, random } = this.#deps;
      const { failures } = this.#reload;
      this.#reload.failures++;
      const wait = MIN_RELOAD_MS + backoff(MIN_RELOAD_MS, MAX_RELOAD_MS, failures + 1, random);
      this.#reload.at = clock.now() + wait;
      this.#lastError = `the destination's configuration cannot be read: ${messageOf(error)}`;
      this.#log("configuration cannot be read", { reason: messageOf(error), wait_ms: wait });
    }
  }

  #apply(loaded: LoadedDestination): void {
    const { outbox } = this.#deps;
    if (this.#config !== null && this.#config.fingerprint !== loaded.fingerprint) this.#breaker = CLOSED;
    const disabled = outbox.disabled();
    if (disabled !== null && disabled.fingerprint !== loaded.fingerprint) outbox.setDisabled(null);
    this.#config = loaded;
    if (loaded.state !== "ready") return;
    outbox.setBacklogLimit(loaded.settings.backlog.max_bytes);
    this.#rate.set(loaded.settings.rate_limit, this.#deps.clock.now());
  }

  /** A write has failed, or the code has: what is in memory is not to be trusted. Returns when to begin again from the rows. */
  #break(error: unknown): number {
    this.#brokenUntil = this.#deps.clock.now() + BROKEN_MS;
    this.#lastError = `the outbox could not be read or written: ${messageOf(error)}`;
    this.#log("outbox cannot be read or written", { reason: messageOf(error), wait_ms: BROKEN_MS });
    return this.#brokenUntil;
  }

  #log(message: string, record: Record<string, unknown>): void {
    this.#deps.log({ level: "warn", message, ...this.#deps.outbox.identity(), ...record });
  }
}

function isDelivered({ outcomes }: Sent): boolean {
  const all = Array.isArray(outcomes) ? outcomes : [outcomes];
  return all.every(({ result }) => result === "delivered");
}

/** What a request says about its destination's health. */
export function breakerSignal({ outcomes }: Sent): BreakerSignal {
  const all = Array.isArray(outcomes) ? outcomes : [outcomes];
  const throttled = all.filter((outcome) => outcome.result === "retry" && outcome.throttled === true);
  if (throttled.length > 0) {
    const waits = throttled.map((outcome) => (outcome.result === "retry" ? outcome.afterMs : undefined));
    const asked = waits.filter((wait) => wait !== undefined);
    return { throttledForMs: asked.length === 0 ? undefined : Math.max(...asked) };
  }
  return all.every((outcome) => outcome.result === "retry") ? "failure" : "success";
}

/** The gravest thing that a request met with. */
function troubleOf({ outcomes }: Sent): (Answer & { result: Outcome["result"] }) | null {
  const all = Array.isArray(outcomes) ? outcomes : [outcomes];
  for (const result of ["disable", "retry", "dead"] as const) {
    const found = all.find((outcome) => outcome.result === result);
    if (found !== undefined && found.result !== "delivered") return found;
  }
  return null;
}

function earliest(...times: (number | null)[]): number | null {
  const set = times.filter((time) => time !== null);
  return set.length === 0 ? null : Math.min(...set);
}
