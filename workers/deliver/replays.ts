import type { Clock } from "../../shared/clock.ts";
import { type DeadLetterSelection, REPLAY_ANSWER_MS } from "../../shared/outbox-api.ts";
import type { ArchiveReplay, DeadLetterReplay, ReplayStatus } from "../../shared/replay-api.ts";
import { ReplayJobs } from "../../shared/replay-jobs.ts";
import { type Replay, ReplayStore } from "../../shared/replay-store.ts";
import type { Sql } from "../../shared/sql.ts";
import { ARCHIVE_START, type ArchivePosition, type ArchiveReplayDeps, ArchiveReplays } from "./archive-replay.ts";
import { type DeadLetterPosition, discardDeadLetters, type ReplayDeps, replayStep, startOf } from "./replay.ts";

export interface ReplaysDeps extends Omit<ReplayDeps, "store">, Pick<ArchiveReplayDeps, "archive" | "filter"> {
  sql: Sql;
  clock: Clock;
  /** Resolves after `ms`, or when `wake` resolves. */
  wait: (ms: number, wake?: Promise<void>) => Promise<void>;
  log: (record: Record<string, unknown>) => void;
}

type Request = DeadLetterReplay | ArchiveReplay;
type Position = DeadLetterPosition | ArchivePosition;
type Job<R, P> = Replay<R, P>;

/** An outbox's replays: what there is to start, and what a step of each kind does. */
export class Replays {
  readonly #deps: ReplaysDeps;
  readonly #jobs: ReplayJobs<Request, Position>;

  constructor(deps: ReplaysDeps) {
    this.#deps = deps;
    const store = new ReplayStore<Request, Position>(deps.sql);
    const { clock, wait, log } = deps;
    const archives = new ArchiveReplays({ ...deps, store });
    // What kind of request a row holds says what kind of position stands beside it.
    const step = (job: Job<Request, Position>, max: number) =>
      job.request.from === "archive"
        ? archives.step(job as Job<ArchiveReplay, ArchivePosition>, max)
        : replayStep({ ...deps, store }, job as Job<DeadLetterReplay, DeadLetterPosition>, max);
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
    const { outbox } = this.#deps;
    if (request.from === "archive") {
      outbox.identify(request);
      this.#jobs.start(request, ARCHIVE_START, null);
    } else this.#jobs.start(request, startOf(outbox), outbox.countDeadLetters(request.selection));
  }

  /** How far it is once it has ended, or after a while. */
  async answer(id: string): Promise<ReplayStatus> {
    await this.#jobs.ended(id, REPLAY_ANSWER_MS);
    return this.statuses().find((status) => status.id === id) as ReplayStatus;
  }

  statuses(): ReplayStatus[] {
    const own = this.#deps.outbox.identity()?.destination ?? "";
    return this.#jobs.statuses((request) => (request.from === "archive" ? request.archive : own));
  }

  cancel(id: string): boolean {
    return this.#jobs.cancel(id);
  }

  discard(selection: DeadLetterSelection): Promise<number> {
    return discardDeadLetters(this.#deps.outbox, selection, () => this.#deps.wait(0));
  }
}
