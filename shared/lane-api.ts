import type { Event } from "./event.ts";
import type { LaneReplay, ReplayStatus, ReplaysApi } from "./replay-api.ts";
import type { Runs } from "./runs.ts";

/** What a lane answers over RPC. */
export interface LaneApi extends ReplaysApi {
  /** Resolves once the events are on disk. Throws `lane_full` when over the byte cap; anything thrown means: not durable. */
  append(append: LaneAppend): Promise<LaneAppended>;
  /** Its position, backlog and the state of the team's scripts. */
  status(): Promise<LaneStatus>;
  /** What counts against the team's quota today. */
  usage(): Promise<DailyUsage>;
  /** Reads the configuration again and resumes the pump if there is work. */
  wake(): Promise<void>;
  /** The newest events that the lane has, newest first, as capture accepted them. */
  samples(limit: number): Promise<Event[]>;
  quarantine(query: QuarantineQuery): Promise<QuarantinePage>;
  /** Puts quarantined events through the scripts again, as new events of the log with the uuids that they have. */
  release(selection: QuarantineSelection): Promise<{ released: number }>;
  /** Ends quarantined events: from now on they count as dropped. */
  discard(selection: QuarantineSelection): Promise<{ discarded: number }>;
  /** Starts to send a destination the retained events of a time once more; resolves with how far that is after at most `REPLAY_ANSWER_MS`. */
  replay(request: LaneReplay): Promise<ReplayStatus>;
}

export interface QuarantineSelection {
  /** Absent: all. */
  ids?: number[];
  /** Only what this script failed on; `restriction` for what a restriction sent there. */
  script?: string;
  event?: string;
  distinct_id?: string;
}

export interface QuarantineQuery extends QuarantineSelection {
  /** At most 1,000; 100 if absent. */
  limit?: number;
  /** Id of the last one of the page before. */
  after?: number;
}

export interface QuarantinedEvent {
  id: number;
  script: string;
  message: string;
  /** ISO 8601. */
  quarantined_at: string;
  /** As capture accepted it. */
  event: Event;
}

export interface QuarantinePage {
  quarantined: QuarantinedEvent[];
  total: number;
  /** Pass as `after` for the next page; null on the last. */
  next: number | null;
}

export interface LaneAppend {
  /** The lane's own name, so that an object knows it from its first call on. */
  lane: string;
  /** NDJSON, one event a line, in order of acceptance. */
  events: Uint8Array;
  /** 16 bytes an event, in the same order. */
  uuids: Uint8Array;
  tokens: Runs<string>;
  /** What the events count as, for a team with a quota; absent for one without. */
  resources?: Runs<DailyResource>;
  /** What capture has answered as taken since and not stored. An append may hold nothing else. */
  refused?: Refused;
}

/** Events by source (`Event.source`), then by reason. */
export type Refused = Record<string, Record<string, number>>;

export interface LaneAppended {
  /** Events dropped because the lane has seen their uuid inside its window. */
  duplicates: number;
  /** Where the append said what its events count as. */
  usage?: DailyUsage;
}

/** What a team's quota knows apart. */
export type DailyResource = "events" | "recordings" | "exceptions";

/** What a lane has accepted in one day, as far as it was told to count. */
export interface DailyUsage {
  /** As `utcDay` has it. */
  day: number;
  /** Duplicates left out; a resource without events is absent. */
  counts: Partial<Record<DailyResource, number>>;
}

export interface LaneStatus {
  lane: string;
  team: string | null;
  /** The seq that the next event gets. */
  nextSeq: number;
  /** Events accepted, duplicates left out. */
  accepted: number;
  duplicates: number;
  /** Events answered as taken and not stored, because a source or a restriction says so: they are not among those accepted. */
  refused: Refused;
  /** Events that the scripts have not seen yet, and their bytes. */
  backlog: number;
  backlogBytes: number;
  /** ISO 8601; null without a backlog. */
  oldestAt: string | null;
  /** Events that a destination's outbox has not taken yet, by destination id. */
  pending: Record<string, number>;
  /** Events in the quarantine: at every destination they count as dead. */
  quarantined: number;
  /** Events that were discarded from it: they count as dropped. */
  discarded: number;
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
  /** Events that it was given, and those of them that it dropped. */
  events: number;
  dropped: number;
  /** As `ScriptUse` has it, added up. */
  steps: number;
  histogram: number[];
  /** Its latest errors, a group each message, newest first. */
  failures: ScriptFailure[];
  /** Its latest log lines, newest last. */
  logs: { at: string; text: string }[];
}

/** Errors of one script with one message. */
export interface ScriptFailure {
  message: string;
  count: number;
  stack: string[];
  /** ISO 8601. */
  firstAt: string;
  lastAt: string;
  /** The first event that it happened on, as capture accepted it. */
  sample: Event;
}
