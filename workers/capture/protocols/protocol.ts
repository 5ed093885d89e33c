import type { AppError } from "../../../shared/errors.ts";
import type { Event } from "../../../shared/event.ts";
import type { Client } from "../client.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import type { Resolution } from "../resolution.ts";
import type { Reason } from "../rules.ts";
import type { ProtocolKind } from "../source-rules.ts";

/**
 * One way in which clients speak to capture. A new one is its own file, its test and a line in the registry.
 * Every member runs the conformance suite beside this file.
 */
export interface Protocol<D extends Decoded = Decoded> {
  /** Names the protocol in logs and, where it has no sources of its own, in `Event.source`. */
  readonly name: string;
  /** What sources call it. */
  readonly kind: ProtocolKind;
  /** What it answers to; a trailing slash makes no difference. */
  readonly routes: readonly Route[];
  /**
   * The token, for a protocol that has it in the path and needs what is known of it to read the body: `context.resolution` has it then.
   * Throws as `decode` does. Absent where `decode` finds the token.
   */
  tokenOf?(context: CaptureContext): string;
  /**
   * The request as normalised events of one team. Throws an AppError that is the client's (4xx) for anything that a client can get
   * wrong; anything else thrown is a bug. Does not answer for the size and depth of single events: encodeEvents does. Nor for where
   * they come from: placeEvents does.
   */
  decode(request: Request, context: CaptureContext): Promise<D>;
  /**
   * What is left of a request of which an event is too large or too deep; it is stored in its place. Null, or absent, where
   * such an event refuses the whole request.
   */
  salvage?(decoded: D, context: CaptureContext): D | null;
  /**
   * What is left of a request without the events that a source, a restriction or a quota has taken out of it. Absent where the answer
   * says nothing of single events: then only the list of events is shorter.
   */
  without?(decoded: D, refused: ReadonlyMap<Event, Reason>): D;
  /** The answer once the events are durable; to a request without events, whatever else it asks for. */
  success(decoded: D, request: Request, context: CaptureContext): Response | Promise<Response>;
  /** The answer when they are not, in the protocol's own form; Retry-After where the error has one. */
  failure(error: AppError, request: Request, context: CaptureContext): Response;
}

export interface Route {
  readonly method: "GET" | "HEAD" | "POST";
  /** As itty-router writes it. */
  readonly path: string;
}

/** A protocol whose answer says more than that all went well extends this with what it needs for it. */
export interface Decoded {
  token: string;
  /** In the order of the request; empty where it held only events that the protocol drops. */
  events: Event[];
}

/** What a protocol knows beside the request. */
export interface CaptureContext {
  /** When the request arrived. */
  readonly nowMs: number;
  /** Path of the route that matched, as the protocol wrote it. */
  readonly route: string;
  /** What the route's `:name` parts matched. */
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly query: Query;
  readonly client: Client;
  readonly limits: DecodeLimits;
  /** What is known of the token of `tokenOf`, which exists; null where the configuration could not be read. Undefined for other protocols. */
  readonly resolution?: Resolution | null;
  /** The text of a source's sealed secret. Throws, and the operator learns of it, where it cannot be opened. */
  openSecret(sealed: string): Promise<string>;
  /** Those that `mintUuid` has made. */
  readonly minted: ReadonlySet<string>;
  /** A new UUIDv7 of this moment. */
  mintUuid(): string;
}

/** A parameter that the URL repeats has all its values. */
export type Query = Readonly<Record<string, string | string[] | undefined>>;

/** The first value of a parameter. */
export function queryValue(query: Query, name: string): string | undefined {
  const value = query[name];
  return Array.isArray(value) ? value[0] : value;
}
