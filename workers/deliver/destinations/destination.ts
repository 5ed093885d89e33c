import type { ZodType } from "zod";
import type { Clock } from "../../../shared/clock.ts";
import type { Kept } from "../kept.ts";
import type { CommonSettings } from "./common-settings.ts";

/**
 * One kind of destination. A kind is one file: its settings' schema, how it cuts the queue into requests, and how it sends one and
 * reads the answer record by record. Retrying, pacing, dead letters and books are the outbox's.
 */
export interface DestinationKind<Settings extends CommonSettings = CommonSettings> {
  readonly kind: string;
  /**
   * Parses the destination's entry of the configuration, without `id`, `kind` and `filter`; unknown keys are refused.
   * What it returns, it also takes: settings are parsed again when they come back from storage.
   */
  readonly settings: ZodType<Settings>;
  /** Paths of secret fields inside the settings, such as "signing_secret" or "auth.password". Their values are strings. */
  readonly secrets: readonly string[];
  /**
   * True: one request at a time, and a failed one holds back those behind it. "user": the same for the events of each user
   * (distinct_id), while those of others go on.
   */
  ordered(settings: Settings): boolean | "user";
  limits(settings: Settings): RequestLimits;
  /** Sends one request. Never throws for an answer, an abort or a network error; what it throws is a bug. */
  send(request: OutboundRequest, settings: Settings, deps: SendDeps): Promise<Sent>;
}

export interface RequestLimits {
  maxEvents: number;
  maxBytes: number;
  /** How long a request may wait to be filled. */
  maxWaitMs: number;
  /** Requests under way at once. */
  concurrency: number;
  /** How long one attempt may take. */
  timeoutMs: number;
  /** A line that the destination's script shaped is a request of its own. */
  shapedAlone?: boolean;
  /** A request is written down before it is sent: after a crash it comes again with the same events and the same id. */
  fixedCut?: boolean;
}

export interface OutboundRequest {
  team: string;
  destination: string;
  /** When its oldest event came in; milliseconds since the epoch. */
  acceptedAt: number;
  /** Stable over retries of the same request. */
  id: string;
  /** NDJSON, `count` lines, one event each. */
  events: Uint8Array;
  count: number;
  /** The token that each event came with, one a line. */
  tokens: string[];
  /** Lines may be `ShapedEvent`s. Absent: they are events. */
  shaped?: boolean;
  /** 1 for the first try. */
  attempt: number;
}

export interface SendDeps {
  clock: Clock;
  /** Leaves the process; public addresses only where the operator says so. */
  fetch: typeof fetch;
  /** Aborts when the attempt's time is over. */
  signal: AbortSignal;
  /** A TCP connection, which leaves through the same door. */
  connect: Connect;
  /** Keeps a connection between the sends of a destination. */
  kept: Kept;
  /** Writes a line for a person to read (kind `terminal`). */
  print: (line: string) => void;
}

/** As `connect` of cloudflare:sockets. The socket may fail later: `opened` says. */
export type Connect = (
  address: { hostname: string; port: number },
  options: { secureTransport: "on" | "off"; allowHalfOpen: boolean },
) => TcpSocket;

export interface TcpSocket {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
  /** Rejects where the connection, or TLS, does not come about. */
  opened: Promise<unknown>;
  closed: Promise<void>;
  close(): Promise<void>;
}

export interface Sent {
  /** One a line of the request, or a single one that holds for all. */
  outcomes: Outcome[] | Outcome;
}

/** What became of one event of a request (expected failures are values). */
export type Outcome =
  | { result: "delivered" }
  /** To be tried again; `afterMs` is the destination's own wish (Retry-After). `throttled`: it asks for patience, which is no failure of its own. */
  | ({ result: "retry"; afterMs?: number; throttled?: boolean } & Answer)
  /** Will never be taken. */
  | ({ result: "dead" } & Answer)
  /** The destination is gone (410): stop sending, keep everything. */
  | ({ result: "disable" } & Answer);

export interface Answer {
  /** For the operator: what happened and what to do. Never holds a secret. */
  reason: string;
  /** HTTP status or the protocol's own code. */
  status?: number;
  /** Start of the answer's body. */
  response?: string;
}
