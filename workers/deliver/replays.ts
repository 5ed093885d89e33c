import type { Clock } from "../../shared/clock.ts";
import { type DeadLetterSelection, REPLAY_ANSWER_MS } from "../../shared/outbox-api.ts";
import type { DeadLetterReplay, ReplayStatus } from "../../shared/replay-api.ts";
import { ReplayJobs } from "../../shared/replay-jobs.ts";
import { ReplayStore } from "../../shared/replay-store.ts";
import type { Sql } from "../../shared/sql.ts";
import { type DeadLetterPosition, discardDeadLetters, type ReplayDeps, replayStep, startOf } from "./replay.ts";

export interface ReplaysDeps extends Omit<ReplayDeps, "store"> {
  sql: Sql;
  clock: Clock;
  /** Resolves after `ms`, or when `wake` resolves. */
  wait: (ms: number, wake?: Promise<void>) => Promise<void>;
  log: (record: Record<string, unknown>) => void;
}

type Request = DeadLetterReplay;
type Position = DeadLetterPosition;

/** An outbox's replays: what there is to start, and what a step of each kind does. */
export class Replays {
  readonly #deps: ReplaysDeps;
  readonly #jobs: ReplayJobs<Request, Position>;

  constructor(deps: ReplaysDeps) {
    this.#deps = deps;
    const store = new ReplayStore<Request, Position>(deps.sql);
    const { clock, wait, log } = deps;
    const step = (job: Parameters<typeof replayStep>[1], max: number) => replayStep({ ...deps, store }, job, max);
    this.#jobs = new ReplayJobs({ store, clock, wait, log, step });
  }

  get hasWork(): boolean {
    return this.#jobs.hasWork;
  }

  /** Goes on with what there is. Resolves when all of them have ended. */
  kick(): Promise<void> {
    return this.#jobs.kick();
  }

  start(request: Request): void {
    this.#jobs.start(request, startOf(this.#deps.outbox), this.#deps.outbox.countDeadLetters(request.selection));
  }

  /** How far it is once it has ended, or after a while. */
  async answer(id: string): Promise<ReplayStatus> {
    await this.#jobs.ended(id, REPLAY_ANSWER_MS);
    return this.#jobs.status(id, this.#source()) as ReplayStatus;
  }

  statuses(): ReplayStatus[] {
    return this.#jobs.statuses(() => this.#source());
  }

  cancel(id: string): boolean {
    return this.#jobs.cancel(id);
  }

  discard(selection: DeadLetterSelection): Promise<number> {
    return discardDeadLetters(this.#deps.outbox, selection, () => this.#deps.wait(0));
  }

  #source(): string {
    return this.#deps.outbox.identity()?.destination ?? "";
  }
}
