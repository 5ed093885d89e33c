import type { Runs } from "./runs.ts";

/** What a lane answers over RPC. */
export interface LaneApi {
  /** Resolves once the events are on disk. Throws `lane_full` when over the byte cap; anything thrown means: not durable. */
  append(append: LaneAppend): Promise<LaneAppended>;
  /** Its position, backlog and the state of the team's scripts. */
  status(): Promise<LaneStatus>;
  /** Reads the configuration again and resumes the pump if there is work. */
  wake(): Promise<void>;
}

export interface LaneAppend {
  /** The lane's own name, so that an object knows it from its first call on. */
  lane: string;
  /** NDJSON, one event a line, in order of acceptance. */
  events: Uint8Array;
  /** 16 bytes an event, in the same order. */
  uuids: Uint8Array;
  tokens: Runs<string>;
}

export interface LaneAppended {
  /** Events dropped because the lane has seen their uuid inside its window. */
  duplicates: number;
}

export interface LaneStatus {
  lane: string;
  team: string | null;
  /** The seq that the next event gets. */
  nextSeq: number;
  /** Events accepted, duplicates left out. */
  accepted: number;
  duplicates: number;
  /** Events that the scripts have not seen yet, and their bytes. */
  backlog: number;
  backlogBytes: number;
  /** ISO 8601; null without a backlog. */
  oldestAt: string | null;
  /** Events that a destination's outbox has not taken yet, by destination id. */
  pending: Record<string, number>;
  scripts: ScriptStatus[];
  /** What holds the pump up, for the operator; null where nothing does. */
  trouble: string | null;
}

export interface ScriptStatus {
  id: string;
  bundle: string;
  /** Events that it threw on or ran out of fuel on. */
  errors: number;
  /** Times that the sandbox process had to be killed while it ran. */
  kills: number;
  quarantined: boolean;
  lastError: string | null;
}
