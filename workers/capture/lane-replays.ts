import type { Clock } from "../../shared/clock.ts";
import { REPLAY_ANSWER_MS } from "../../shared/outbox-api.ts";
import type { LaneReplay, ReplayStatus } from "../../shared/replay-api.ts";
import { ReplayJobs } from "../../shared/replay-jobs.ts";
import { ReplayStore } from "../../shared/replay-store.ts";
import type { Sql } from "../../shared/sql.ts";
import { type LanePosition, type LaneReplayDeps, laneReplayStep, seqsOf } from "./lane-replay.ts";

export interface LaneReplaysDeps extends Omit<LaneReplayDeps, "store"> {
  sql: Sql;
  clock: Clock;
  /** Resolves after `ms`, or when `wake` resolves. */
  wait: (ms: number, wake?: Promise<void>) => Promise<void>;
  log: (record: Record<string, unknown>) => void;
}

/** A lane's replays. */
export class LaneReplays {
  readonly #deps: LaneReplaysDeps;
  readonly #jobs: ReplayJobs<LaneReplay, LanePosition>;

  constructor(deps: LaneReplaysDeps) {
    this.#deps = deps;
    const store = new ReplayStore<LaneReplay, LanePosition>(deps.sql);
    const { clock, wait, log } = deps;
    const step = (job: Parameters<typeof laneReplayStep>[1], max: number) =>
      laneReplayStep({ ...deps, store }, job, max);
    this.#jobs = new ReplayJobs({ store, clock, wait, log, step });
  }

  get hasWork(): boolean {
    return this.#jobs.hasWork;
  }

  /** Goes on with what there is. Resolves when all of them have ended. */
  kick(): Promise<void> {
    return this.#jobs.kick();
  }

  start(request: LaneReplay): void {
    const seqs = seqsOf(request, this.#deps.lane);
    this.#jobs.start(request, seqs, seqs.through - seqs.after);
  }

  /** How far it is once it has ended, or after a while. */
  async answer(id: string): Promise<ReplayStatus> {
    await this.#jobs.ended(id, REPLAY_ANSWER_MS);
    return this.statuses().find((status) => status.id === id) as ReplayStatus;
  }

  statuses(): ReplayStatus[] {
    return this.#jobs.statuses(() => this.#deps.name());
  }

  cancel(id: string): boolean {
    return this.#jobs.cancel(id);
  }
}
