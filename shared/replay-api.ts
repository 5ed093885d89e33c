import type { DeadLetterSelection } from "./outbox-api.ts";

/**
 * A replay runs as a job in the object that holds what is replayed: a lane, or an outbox. It has gone on from where it was after a restart,
 * it can be watched and cancelled, and what has been replayed stays replayed.
 */
export interface ReplayRequest {
  /** Chosen by who asks: asking twice starts it once. */
  id: string;
  team: string;
  /** Where the events go. */
  destination: string;
  /** At most so many; absent: as fast as it goes. */
  events_per_second?: number;
}

export interface DeadLetterReplay extends ReplayRequest {
  from: "dead_letters";
  selection: DeadLetterSelection;
}

/** Events by the time at which the edge accepted them. */
export interface TimeRange {
  /** ISO 8601; accepted at or after, and before. */
  since: string;
  until: string;
  /** Only events of this name. */
  event?: string;
}

export interface LaneReplay extends ReplayRequest, TimeRange {
  from: "lane";
}

export interface ArchiveReplay extends ReplayRequest, TimeRange {
  from: "archive";
  /** The destination of kind `s3` that wrote it. */
  archive: string;
}

export interface ReplayStatus {
  id: string;
  from: "dead_letters" | "lane" | "archive";
  /** Whose dead letters, which lane, which archive. */
  source: string;
  destination: string;
  state: "running" | "done" | "cancelled";
  /** ISO 8601. */
  created_at: string;
  ended_at: string | null;
  /** Events to be looked at; null where nobody knows before the end. */
  total: number | null;
  seen: number;
  /** Events that the destination has taken. */
  replayed: number;
  /** What holds it up, or what it had to leave out. */
  problem: string | null;
}

/** What every object with replays answers. */
export interface ReplaysApi {
  /** Those that run, and the last ones that have ended. */
  replays(): Promise<ReplayStatus[]>;
  /** False where none of this id runs. */
  cancelReplay(id: string): Promise<boolean>;
}
