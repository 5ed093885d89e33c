import type { Clock } from "./clock.ts";
import { messageOf } from "./errors.ts";
import type { ReplayRequest, ReplayStatus } from "./replay-api.ts";
import type { Replay, ReplayStore } from "./replay-store.ts";

/** What one step of a replay came to. */
export type ReplayStep =
  /** Events were moved, and the store has been told. `leftOut`: which were not and never will be, and why. */
  | { step: "moved"; events: number; leftOut?: string }
  /** Nothing could be moved now. */
  | { step: "wait"; problem: string }
  | { step: "done" };

export interface ReplayJobsDeps<Request, Position> {
  store: ReplayStore<Request, Position>;
  clock: Clock;
  /** Resolves after `ms`, or when `wake` resolves; with 0 others get their turn. */
  wait: (ms: number, wake?: Promise<void>) => Promise<void>;
  /** Moves at most so many events, and tells the store in the same transaction where that can be. */
  step: (replay: Replay<Request, Position>, maxEvents: number) => Promise<ReplayStep>;
  log: (record: Record<string, unknown>) => void;
}

/** Of one step: short enough not to hold up anybody, long enough to pay for its commit. */
const STEP_COUNT = 500;
const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 10_000;

/**
 * Runs an object's replays side by side, a step at a time. All that it knows is in the store, so that a restart goes on where the last
 * step ended; a step that was cut off comes again, and whoever does it makes that harmless.
 */
export class ReplayJobs<Request extends ReplayRequest & Pick<ReplayStatus, "from">, Position> {
  readonly #deps: ReplayJobsDeps<Request, Position>;
  /** Those that run. */
  readonly #ids: Set<string>;
  #running: Promise<void> | null = null;
  #changed = Promise.withResolvers<void>();
  /** When each of them goes on, and its failures in a row. */
  readonly #pace = new Map<string, { at: number; failures: number }>();
  /** What holds them up for now. */
  readonly #trouble = new Map<string, string>();

  constructor(deps: ReplayJobsDeps<Request, Position>) {
    this.#deps = deps;
    this.#ids = new Set(deps.store.running());
  }

  get hasWork(): boolean {
    return this.#ids.size > 0;
  }

  start(request: Request, position: Position, total: number | null): void {
    const { store, clock } = this.#deps;
    store.insert(request.id, clock.now(), request, position, total);
    if (store.get(request.id)?.state === "running") this.#ids.add(request.id);
    this.#change();
  }

  cancel(id: string): boolean {
    const ended = this.#deps.store.end(id, "cancelled", this.#deps.clock.now());
    this.#ids.delete(id);
    this.#change();
    return ended;
  }

  /** Starts it where there is work and it rests. Resolves when there is none left. Never throws. */
  kick(): Promise<void> {
    this.#running ??= this.#run()
      .catch((error: unknown) => {
        this.#deps.log({ level: "error", message: `replays stopped for now: ${messageOf(error)}` });
        return false;
      })
      .then((isWell) => {
        this.#running = null;
        // One that was started in this moment.
        return isWell && this.hasWork ? this.kick() : undefined;
      });
    return this.#running;
  }

  /** Resolves when this one has ended, or after `ms`. */
  async ended(id: string, ms: number): Promise<void> {
    const until = this.#deps.clock.now() + ms;
    while (this.#deps.store.get(id)?.state === "running") {
      const left = until - this.#deps.clock.now();
      if (left <= 0) return;
      await this.#deps.wait(left, this.#changed.promise);
    }
  }

  /** The newest first. `source`: whose events they are, where the request does not say. */
  statuses(source: (request: Request) => string): ReplayStatus[] {
    return this.#deps.store.all().map((replay) => this.#status(replay, source(replay.request)));
  }

  #status(replay: Replay<Request, Position>, source: string): ReplayStatus {
    const trouble = replay.state === "running" ? this.#trouble.get(replay.id) : undefined;
    return replayStatus(trouble === undefined ? replay : { ...replay, problem: trouble }, source);
  }

  async #run(): Promise<boolean> {
    for (;;) {
      const ids = [...this.#ids];
      if (ids.length === 0) {
        this.#pace.clear();
        return true;
      }
      const now = this.#deps.clock.now();
      const due = ids.filter((id) => (this.#pace.get(id)?.at ?? 0) <= now);
      for (const id of due) await this.#step(id);
      if (due.length > 0) await this.#deps.wait(0);
      else {
        const next = Math.min(...ids.map((id) => this.#pace.get(id)?.at ?? 0));
        await this.#deps.wait(Math.max(1, next - now), this.#changed.promise);
      }
    }
  }

  async #step(id: string): Promise<void> {
    const { store, clock } = this.#deps;
    const replay = store.get(id);
    if (replay?.state !== "running") return;
    const rate = replay.request.events_per_second;
    let step: ReplayStep;
    try {
      step = await this.#deps.step(replay, rate === undefined ? STEP_COUNT : Math.min(STEP_COUNT, Math.max(1, rate)));
    } catch (error) {
      step = { step: "wait", problem: messageOf(error) };
    }
    const failures = step.step === "wait" ? (this.#pace.get(id)?.failures ?? 0) + 1 : 0;
    const held = step.step === "wait" ? Math.min(MAX_WAIT_MS, MIN_WAIT_MS * 2 ** failures) : 0;
    const paced = step.step === "moved" && rate !== undefined ? (step.events / rate) * 1_000 : 0;
    this.#pace.set(id, { at: clock.now() + held + paced, failures });
    this.#note(replay, step);
  }

  #note(replay: Replay<Request, Position>, step: ReplayStep): void {
    const { store, clock, log } = this.#deps;
    const { id, request } = replay;
    const about = {
      replay: id,
      ...(request.team === "" ? {} : { team: request.team }),
      destination: request.destination,
    };
    const said = step.step === "wait" ? step.problem : step.step === "moved" ? step.leftOut : undefined;
    if (step.step === "moved" && step.leftOut !== undefined) store.setProblem(id, step.leftOut);
    if (said !== undefined && said !== (this.#trouble.get(id) ?? replay.problem)) {
      log({ level: "warn", message: "a replay is held up, or leaves events out", ...about, reason: said });
    }
    if (step.step === "wait") this.#trouble.set(id, step.problem);
    else this.#trouble.delete(id);
    if (step.step !== "done") return;
    this.#ids.delete(id);
    if (!store.end(id, "done", clock.now())) return;
    log({ message: "a replay has ended", ...about, events: replay.replayed });
    this.#change();
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** As the API shows it. */
function replayStatus<Request extends ReplayRequest & Pick<ReplayStatus, "from">, Position>(
  replay: Replay<Request, Position>,
  source: string,
): ReplayStatus {
  const { id, state, request, total, seen, replayed, problem, createdAt, endedAt } = replay;
  return {
    ...{ id, from: request.from, source, destination: request.destination, state, total, seen, replayed, problem },
    created_at: new Date(createdAt).toISOString(),
    ended_at: endedAt === null ? null : new Date(endedAt).toISOString(),
  };
}
