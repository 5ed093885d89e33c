import type { ArchiveReplay, DeadLetterReplay, ReplayStatus, ReplaysApi } from "./replay-api.ts";
import type { Runs } from "./runs.ts";

/** What an outbox answers over RPC. */
export interface OutboxApi extends ReplaysApi {
  /**
   * Takes one destination's share of a lane's events. Idempotent: seqs at or below what the outbox has of that lane are skipped,
   * so a batch may come again, whole or with other borders. Resolves once the events are on disk.
   */
  append(append: OutboxAppend): Promise<OutboxAppended>;
  status(): Promise<OutboxStatus>;
  deadLetters(query: DeadLetterQuery): Promise<DeadLetterPage>;
  /**
   * Starts a replay, and resolves with how far it is after at most `REPLAY_ANSWER_MS`. Dead letters of this outbox go back to be sent,
   * here or in another outbox; those that need it through the destination's script again, and where that cannot be run they stay. An
   * archive's events come to this outbox.
   */
  replay(request: DeadLetterReplay | ArchiveReplay): Promise<ReplayStatus>;
  /** Ends dead letters: from now on they count as dropped. */
  discard(selection: DeadLetterSelection): Promise<{ discarded: number }>;
  /** Stops sending until `resume`; appends go on. Survives restarts. */
  pause(pause: { team: string; destination: string; reason: string }): Promise<void>;
  /** Ends a pause, whoever began it, and a stop by the destination's own 410. */
  resume(): Promise<void>;
  /** Reads the configuration again and resumes the drain if there is work. */
  wake(): Promise<void>;
}

/** How long somebody who starts a replay waits for its end: most are over by then. */
export const REPLAY_ANSWER_MS = 5_000;

/** Why nothing is sent, by decision and not by configuration. */
export interface Paused {
  by: "operator" | "failures";
  reason: string;
  /** ISO 8601. */
  since: string;
}

/** What a team's `notifications` are told of. */
export type NoticeType =
  | "destination.failing"
  | "destination.paused"
  | "destination.disabled"
  | "destination.recovered"
  | "dead_letters.growing"
  | "backlog.near_limit";

export interface OutboxAppend {
  team: string;
  destination: string;
  lane: string;
  /** This append speaks for the lane's seqs (after, through]. */
  after: number;
  through: number;
  /** NDJSON of the events to send, in order. */
  events: Uint8Array;
  /** The lane's seq that each line came from, ascending; a script that returns several events repeats it. Null: after + 1 … through, one line each. */
  seqs: number[] | null;
  tokens: Runs<string>;
  /** Seqs that a script dropped, that the destination's filter left out, and that the lane had to let go of unsent. */
  dropped: number[];
  filtered: number[];
  expired: number[];
  /** Of the lines, by position: those that become dead letters at once, because the destination's own script failed on them. Absent: none. */
  dead?: { line: number; reason: string }[];
  /** True where a replay brings events that were accepted before. */
  replay?: boolean;
  /** True where the destination has a script of its own: its lines may be `ShapedEvent`s (sandbox-api.ts). Absent: they are events. */
  shaped?: boolean;
}

export type OutboxAppended =
  | { status: "stored"; through: number }
  /** Over its byte cap: nothing was taken. `through` is what it has of that lane. */
  | { status: "full"; through: number; retryAfterMs: number }
  /** `after` is beyond what the outbox has of that lane: nothing was taken, send again from `through`. */
  | { status: "gap"; through: number };

/**
 * One destination's books (invariant 5), in events. `accepted` counts what capture accepted plus what scripts added, less
 * nothing: accepted = delivered + filtered + dropped + dead + expired + pending.
 */
export interface Book {
  accepted: number;
  delivered: number;
  filtered: number;
  dropped: number;
  dead: number;
  expired: number;
  pending: number;
}

export interface OutboxStatus {
  team: string;
  destination: string;
  /** Every term counted on its own: `pending` from the stored rows, `dead` from the stored dead letters. */
  book: Book;
  /** Of `accepted`: events that scripts added beyond one each. */
  emitted: number;
  /** Of `accepted`: events that a replay brought once more, from the lanes, an archive or another destination's dead letters. */
  replayed: number;
  /** Of `book.dropped`: dead letters that were discarded, and those that a replay moved to another destination. */
  discarded: number;
  moved: number;
  /** Last seq taken, by lane. */
  lanes: Record<string, number>;
  pendingBytes: number;
  /** What `pendingBytes` may grow to (backlog.max_bytes); beyond it events wait in the lanes. */
  maxPendingBytes: number;
  /** ISO 8601, when the oldest pending event was accepted by the edge; null without any. */
  oldestAt: string | null;
  breaker: "closed" | "open" | "half-open";
  /** Set once the destination answered 410, or its settings cannot be used: nothing is sent until its configuration changes. */
  disabled: string | null;
  paused: Paused | null;
  /** ISO 8601: every attempt since then has failed; null where the last one did not. */
  failingSince: string | null;
  attempts: number;
  lastError: string | null;
  /** ISO 8601, when the destination's `rate_limit` lets the next request go; null where nothing waits for it. */
  rateLimitedUntil: string | null;
}

export interface DeadLetterSelection {
  /** Absent: all. */
  ids?: number[];
  /** Only events of this name. */
  event?: string;
  distinct_id?: string;
  /** Only those whose reason contains this text, in any case. */
  reason?: string;
  /** ISO 8601; died at or after, and before. */
  since?: string;
  until?: string;
}

export interface DeadLetterQuery extends DeadLetterSelection {
  /** At most 1,000; 100 if absent. */
  limit?: number;
  /** Id of the last one of the page before. */
  after?: number;
  /** True: `total` is left at 0, which a page after the first has no need of. */
  uncounted?: boolean;
}

export interface DeadLetter {
  id: number;
  uuid: string;
  event: string;
  distinct_id: string;
  /** Why it will not be tried again by itself, for the operator. */
  reason: string;
  /** HTTP status or the protocol's own code of the last answer; null where there was none. */
  status: number | null;
  /** Start of the last answer's body. */
  response: string | null;
  attempts: number;
  /** ISO 8601. */
  died_at: string;
  /** The event as it would have been sent; where `unshaped`, as the destination's script got it. */
  body: unknown;
  /** The destination's script failed on it: a replay runs the script again. Absent: it would be sent as it is. */
  unshaped?: true;
}

export interface DeadLetterPage {
  dead_letters: DeadLetter[];
  total: number;
  /** Pass as `after` for the next page; null on the last. */
  next: number | null;
}
