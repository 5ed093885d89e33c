import type { IRequestStrict } from "itty-router";
import type { Clock } from "../../shared/clock.ts";
import type { QuotaConfig } from "../../shared/config-sources.ts";
import { AppError, messageOf } from "../../shared/errors.ts";
import type { Event } from "../../shared/event.ts";
import type { Refused } from "../../shared/lane-api.ts";
import type { Timer } from "../../shared/timer.ts";
import { type FillRandom, UuidV7 } from "../../shared/uuid.ts";
import { type ClientReader, clientReader, type Region, regionOf } from "./client.ts";
import { hideFromPage } from "./cors.ts";
import { DEFAULT_LIMITS, type DecodeLimits } from "./decode/limits.ts";
import {
  NestingError,
  OriginError,
  QuotaExceededError,
  StalledUploadError,
  TooLargeError,
  TransientError,
  UnknownTokenError,
} from "./errors.ts";
import { type GeoLookup, placeEvents } from "./geoip/event-place.ts";
import type { HostEndpoint } from "./host-endpoints/host-endpoint.ts";
import { plainText } from "./plain-text.ts";
import type { CaptureContext, Decoded, Protocol } from "./protocols/protocol.ts";
import { NO_PROXIES } from "./proxies.ts";
import type { QuotaVerdict } from "./quota/quota.ts";
import type { Resolution } from "./resolution.ts";
import { applyRules, countRefused, type Ruled } from "./rules.ts";
import { limitsOf, requireTaken } from "./source-rules.ts";

/**
 * The way of a request, from its bytes to durable events and the answer, in this order: decode, resolve the token, say where the events
 * come from, let the rules of its source and its team take out what they do not want and its quota what is over it, append, answer. Where
 * the token is in the path it is resolved before decoding.
 *
 * Invariant 1: the success answer is made only after `append` has resolved. Invariant 6: what a client got wrong is a 4xx in its
 * protocol's own form; a 5xx means that the events could not be made durable, and asks for them again.
 * It does not route or group requests, choose lanes or cache configuration.
 */
export interface AcceptDeps {
  /** The team of a token; null where no team has it. Throws where configuration cannot be read: the events are then accepted unresolved. */
  resolve(token: string): Promise<Resolution | null>;
  /**
   * Resolves once the events are on disk. Throws AppError for an answer of its own (over a limit, lane full); anything else thrown
   * is answered as a transient failure. Never called without events. `minted`: uuids that no client has chosen.
   */
  append(target: Target, events: Event[], limits: DecodeLimits, minted: ReadonlySet<string>): Promise<void>;
  /** What of the events is over quota; nothing if absent. Never throws. */
  quota?(target: Target, events: readonly Event[]): Promise<QuotaVerdict>;
  /** Counts what is answered as taken and not stored (invariant 5); called once the rest of the request is durable. */
  refused(target: Target, counts: Refused): void;
  clock: Clock;
  fillRandom: FillRandom;
  /** Of the current request. */
  timer(ms: number): Timer;
  log(record: IngressRecord): void;
  /** DEFAULT_LIMITS if absent. */
  limits?: DecodeLimits;
  /** Without proxies if absent. */
  client?: ClientReader;
  /** Where addresses are, beyond what the edge knows of its clients; nothing if absent, or null. Never rejects. */
  places?(): Promise<GeoLookup | null>;
  /** The text of a sealed secret of a source. Throws where it cannot be opened; none can if absent. */
  openSecret?(sealed: string): Promise<string>;
}

export interface Target {
  /** Null where configuration could not be read. */
  team: string | null;
  token: string;
  lanes: number;
  region: Region;
  /** Of the team, per day; absent where it has none. */
  quota?: QuotaConfig;
}

/** What the operator should know of; requests that the client got wrong are not among it. */
export interface IngressRecord {
  level: "error" | "warn";
  event: "resolve_failed" | "secret_failed" | "append_failed" | "request_failed";
  protocol: string;
  team: string | null;
  /** Events in the request; 0 where it was not decoded. */
  events: number;
  error: string;
}

/** What logs call requests that belong to no protocol. */
const HOST = { name: "host" };
const NONE_REFUSED: Ruled["refused"] = new Map();
/** A team whose lane count cannot be read has one. */
const UNRESOLVED_LANES = 1;

export class Accept {
  readonly #deps: AcceptDeps;
  readonly #limits: DecodeLimits;
  readonly #client: ClientReader;
  readonly #uuids: UuidV7;

  constructor(deps: AcceptDeps) {
    this.#deps = deps;
    this.#limits = deps.limits ?? DEFAULT_LIMITS;
    this.#client = deps.client ?? clientReader(NO_PROXIES);
    this.#uuids = new UuidV7(deps.fillRandom);
  }

  async request(protocol: Protocol, request: IRequestStrict): Promise<Response> {
    let context = this.#context(protocol, request);
    try {
      const token = protocol.tokenOf?.(context);
      if (token !== undefined) context = { ...context, resolution: await this.#resolve(protocol, token, request, 0) };
      const decoded = await this.#inTime(protocol.decode(request, context), request);
      const stored = await this.#take(protocol, decoded, request, context);
      return await protocol.success(stored, request, context);
    } catch (error) {
      if (error instanceof AppError) return refusal(error, protocol, request, context);
      this.#log("error", "request_failed", protocol, null, 0, error);
      return protocol.failure(new TransientError(error), request, context);
    }
  }

  /** A request that brings no events. */
  async question(handle: HostEndpoint["handle"], request: IRequestStrict, prefix: string): Promise<Response> {
    try {
      return await this.#inTime(Promise.resolve(handle(request, prefix)), request);
    } catch (error) {
      const answer = error instanceof AppError ? error : new TransientError(error);
      if (answer.status >= 500) this.#log("error", "request_failed", HOST, null, 0, answer.cause);
      const response = plainText(answer.status, answer.message);
      if (answer.retryAfterS !== undefined) response.headers.set("retry-after", String(answer.retryAfterS));
      return response;
    }
  }

  /** Decoding waits for nothing but the body. A body that is late has no reader any more, and ends with its request. */
  async #inTime<T>(decoding: Promise<T>, request: Request): Promise<T> {
    if (request.method !== "POST") return decoding;
    const timer = this.#deps.timer(this.#limits.uploadMs);
    const late = timer.done.then(() => {
      throw new StalledUploadError();
    });
    try {
      return await Promise.race([decoding, late]);
    } finally {
      timer.cancel();
    }
  }

  /** Gives what has been stored, which is less than was decoded where rules take events out or the protocol can do without them. */
  async #take(protocol: Protocol, decoded: Decoded, request: Request, context: CaptureContext): Promise<Decoded> {
    const { token, events } = decoded;
    if (events.length === 0) return decoded;
    const resolution =
      context.resolution === undefined
        ? await this.#resolve(protocol, token, request, events.length)
        : context.resolution;
    placeEvents(events, context.client, (await this.#deps.places?.()) ?? null);
    const region = regionOf(request);
    // Fails open: where nothing can be read, nothing is known against the token.
    if (resolution === null) {
      const target: Target = { team: null, token, lanes: UNRESOLVED_LANES, region };
      return this.#storeWithinQuota(protocol, decoded, NONE_REFUSED, target, context);
    }
    const { team, lanes, quota } = resolution;
    const target: Target = { team, token, lanes, region, ...(quota === undefined ? {} : { quota }) };
    const limits = limitsOf(resolution, context.limits);
    const ruled = applyRules(events, resolution, token);
    const kept = withoutRefused(protocol, decoded, ruled);
    return this.#storeWithinQuota(protocol, kept, ruled.refused, target, { ...context, limits });
  }

  /** @param refused what rules have taken out already, to be counted with what is over quota */
  async #storeWithinQuota(
    protocol: Protocol,
    decoded: Decoded,
    refused: Ruled["refused"],
    target: Target,
    context: CaptureContext,
  ): Promise<Decoded> {
    const verdict = decoded.events.length === 0 ? undefined : await this.#deps.quota?.(target, decoded.events);
    const over = verdict?.refused ?? NONE_REFUSED;
    // Only once the answer is final: a client whose events could not be stored sends all of them again.
    const count = () => {
      const all = over.size === 0 ? refused : new Map([...refused, ...over]);
      if (all.size > 0) this.#deps.refused(target, countRefused(all));
    };
    try {
      const events = over.size === 0 ? decoded.events : decoded.events.filter((event) => !over.has(event));
      const kept = withoutRefused(protocol, decoded, { events, refused: over });
      const stored = await this.#store(protocol, kept, target, context);
      count();
      return stored;
    } catch (error) {
      if (error instanceof QuotaExceededError) count();
      throw error;
    } finally {
      verdict?.settle();
    }
  }

  /** Null where the configuration could not be read. Throws where no team has the token, or its source takes no such request. */
  async #resolve(protocol: Protocol, token: string, request: Request, events: number): Promise<Resolution | null> {
    let found: Resolution | null;
    try {
      found = await this.#deps.resolve(token);
    } catch (error) {
      this.#log("warn", "resolve_failed", protocol, null, events, error);
      return null;
    }
    if (found === null) throw new UnknownTokenError();
    requireTaken(found, protocol.kind, request.headers.get("origin"));
    return found;
  }

  async #store(protocol: Protocol, decoded: Decoded, target: Target, context: CaptureContext): Promise<Decoded> {
    if (decoded.events.length === 0) return decoded;
    try {
      await this.#append(protocol, decoded.events, target, context);
      return decoded;
    } catch (error) {
      const isEvents = error instanceof TooLargeError || error instanceof NestingError;
      const rest = isEvents ? (protocol.salvage?.(decoded, context) ?? null) : null;
      if (rest === null) throw error;
      if (rest.events.length > 0) await this.#append(protocol, rest.events, target, context);
      return rest;
    }
  }

  async #append(protocol: Protocol, events: Event[], target: Target, context: CaptureContext): Promise<void> {
    try {
      await this.#deps.append(target, events, context.limits, context.minted);
    } catch (error) {
      const answer = error instanceof AppError ? error : new TransientError(error);
      if (answer.status >= 500) this.#log("error", "append_failed", protocol, target.team, events.length, error);
      throw answer;
    }
  }

  async #openSecret(protocol: Protocol, sealed: string): Promise<string> {
    try {
      if (this.#deps.openSecret === undefined) throw new Error("nothing here opens secrets");
      return await this.#deps.openSecret(sealed);
    } catch (error) {
      this.#log("error", "secret_failed", protocol, null, 0, error);
      throw error;
    }
  }

  #context(protocol: Protocol, request: IRequestStrict): CaptureContext {
    const nowMs = this.#deps.clock.now();
    const minted = new Set<string>();
    return {
      nowMs,
      route: request.route,
      params: request.params,
      query: request.query,
      client: this.#client(request),
      limits: this.#limits,
      openSecret: (sealed) => this.#openSecret(protocol, sealed),
      minted,
      mintUuid: () => {
        const uuid = this.#uuids.next(nowMs);
        minted.add(uuid);
        return uuid;
      },
    };
  }

  #log(
    level: IngressRecord["level"],
    event: IngressRecord["event"],
    protocol: Pick<Protocol, "name">,
    team: string | null,
    events: number,
    error: unknown,
  ): void {
    this.#deps.log({ level, event, protocol: protocol.name, team, events, error: messageOf(error) });
  }
}

function withoutRefused(protocol: Protocol, decoded: Decoded, { events, refused }: Ruled): Decoded {
  if (refused.size === 0) return decoded;
  return protocol.without?.(decoded, refused) ?? { ...decoded, events };
}

function refusal(error: AppError, protocol: Protocol, request: Request, context: CaptureContext): Response {
  const response = protocol.failure(error, request, context);
  return error instanceof OriginError ? hideFromPage(response) : response;
}
