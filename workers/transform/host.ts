/**
 * The sandbox's host: answers shared/sandbox-api.ts.
 *
 * Batches run one at a time (turns.ts says whose is next), and a batch's headers leave before anything of the team runs: whoever holds headers without a
 * body when the process dies ran at that moment. In careful mode the line that names event and script leaves the same way.
 * Loading an isolate runs none of its scripts, so a bundle that does not load is still answered with a status of its own.
 *
 * It keeps nothing on disk: after a restart every bundle is missing until it is PUT again. A bundle's credentials stay with it and
 * reach its own isolate only (invariant 8); neither a log line nor an answer of the host has them.
 */
import type { Clock } from "../../shared/clock.ts";
import { AppError, messageOf } from "../../shared/errors.ts";
import type { BundleUpload } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";
import { bundleHash } from "./bundle.ts";
import { BundleBrokenError, BundleMissingError, SandboxBusyError } from "./bundle-error.ts";
import { runCarefully } from "./careful.ts";
import type { BatchSkips, IsolateApi } from "./isolate-api.ts";
import type { Isolates } from "./isolates.ts";
import { Lru } from "./lru.ts";
import { Turns, type Wait } from "./turns.ts";

export interface HostOptions {
  isolates: Isolates;
  clock: Clock;
  wait: Wait;
  /** Bundles known at once. Default 256. */
  bundles?: number;
  /** How long a batch waits for its turn before it is answered 503. Default 60 s. */
  turnTimeoutMs?: number;
}

/** Text only, some hundred kilobytes each at most; more than there are isolates, because a PUT costs the pump a round trip. */
const DEFAULT_BUNDLE_COUNT = 256;
/** Longer than the supervisor needs to kill what hangs. */
const DEFAULT_TURN_TIMEOUT_MS = 60_000;
/** A client that does not read its answer gives up its turn after this; one that died is noticed sooner. */
const BODY_TIMEOUT_MS = 5_000;

/** Whatever keeps a batch from ending without keeping the loop busy, which the supervisor would see. */
const RUN_TIMEOUT_MS = 20_000;

const RUN = /^\/run\/([0-9a-f]+)$/;
const BUNDLE = /^\/bundles\/([0-9a-f]+)$/;
/** Not `application/x-ndjson`: workerd warns whoever reads that as text. */
const NDJSON = { "Content-Type": "text/x-ndjson; charset=utf-8" };

type Background = Pick<ExecutionContext, "waitUntil">;

export class Host {
  readonly #isolates: Isolates;
  readonly #clock: Clock;
  readonly #wait: Wait;
  readonly #turnTimeoutMs: number;
  readonly #uploads: Lru<BundleUpload>;
  readonly #turns: Turns;

  constructor(options: HostOptions) {
    this.#isolates = options.isolates;
    this.#clock = options.clock;
    this.#wait = options.wait;
    this.#turns = new Turns(options);
    this.#turnTimeoutMs = options.turnTimeoutMs ?? DEFAULT_TURN_TIMEOUT_MS;
    this.#uploads = new Lru(options.bundles ?? DEFAULT_BUNDLE_COUNT);
  }

  async fetch(request: Request, background: Background): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/health") return new Response("ok");
    try {
      const [, hash] = (request.method === "PUT" ? BUNDLE : RUN).exec(url.pathname) ?? [];
      if (hash === undefined)
        throw new AppError("not_found", 404, `the sandbox has no ${request.method} ${url.pathname}`);
      if (request.method === "PUT") return await this.#store(hash, request);
      return await this.#run(hash, new Uint8Array(await request.arrayBuffer()), url.searchParams, background);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const headers = error.retryAfterS === undefined ? {} : { "Retry-After": String(error.retryAfterS) };
      return Response.json({ code: error.code, message: error.message }, { status: error.status, headers });
    }
  }

  async #store(hash: string, request: Request): Promise<Response> {
    const upload = await request.json<Partial<BundleUpload>>().catch((error) => {
      throw new BundleBrokenError(hash, messageOf(error));
    });
    const { bundle, credentials = {} } = upload;
    if (bundle === undefined) throw new BundleBrokenError(hash, "there is no bundle in it");
    // What the hash covers was checked when it was compiled; this proves that it arrived as it was.
    if (bundle.hash !== hash || (await bundleHash(bundle)) !== hash) {
      throw new BundleBrokenError(hash, "its content does not have this hash");
    }
    this.#uploads.set(hash, { bundle, credentials });
    return new Response(null, { status: 204 });
  }

  async #run(hash: string, events: Uint8Array, query: URLSearchParams, background: Background): Promise<Response> {
    if (!(await this.#turns.take(hash, this.#turnTimeoutMs))) throw new SandboxBusyError();
    const { promise, resolve } = Promise.withResolvers<void>();
    // The turn ends even if the client leaves.
    background.waitUntil(promise);
    const finish = () => {
      this.#turns.give();
      resolve();
    };
    try {
      const upload = this.#uploads.get(hash);
      if (upload === undefined) throw new BundleMissingError(hash);
      const { bundle } = upload;
      refuseUnknown(bundle, query.get("only"));
      const isolate = await this.#isolates.get(upload);
      const { readable, writable } = new IdentityTransformStream();
      this.#answer(bundle, isolate, events, query, writable.getWriter()).finally(finish);
      return new Response(readable, { headers: NDJSON });
    } catch (error) {
      finish();
      throw error;
    }
  }

  /** Resolves when the answer has been read, has broken, or has waited too long for its reader. Never rejects. */
  async #answer(
    bundle: Bundle,
    isolate: IsolateApi,
    events: Uint8Array,
    query: URLSearchParams,
    body: WritableStreamDefaultWriter<Uint8Array>,
  ): Promise<void> {
    // Headers leave when the event loop turns.
    const flush = () => this.#wait(0);
    try {
      await flush();
      const skips = skipsOf(query);
      const only = query.get("only");
      if (query.get("careful") === "1") {
        const within = <T>(work: Promise<T>) => this.#within(RUN_TIMEOUT_MS, work, "the batch does not end");
        const now = () => this.#clock.now();
        await runCarefully({ bundle, isolate, events, skips, only, body, flush, now, within });
      } else {
        const run = isolate.run(events, skips, only);
        const answer = await this.#within(RUN_TIMEOUT_MS, run, "the batch does not end");
        await this.#within(BODY_TIMEOUT_MS, body.write(answer), "the answer is not being read");
      }
      // The end of the body leaves while the next batch waits for its headers to leave.
      await this.#within(BODY_TIMEOUT_MS, body.close(), "the answer is not being read");
    } catch (error) {
      logLine("batch could not be run", bundle, events.length, error);
      // A script may have broken its isolate for good.
      await this.#isolates.discard(bundle.hash);
      await body.abort(error).catch(() => undefined);
    }
  }

  async #within<T>(ms: number, work: Promise<T>, otherwise: string): Promise<T> {
    const abort = new AbortController();
    const late = this.#wait(ms, { signal: abort.signal }).then((): never => {
      throw new Error(otherwise);
    });
    late.catch(() => undefined);
    try {
      return await Promise.race([work, late]);
    } finally {
      abort.abort();
    }
  }
}

function refuseUnknown(bundle: Bundle, destination: string | null): void {
  if (destination === null || Object.hasOwn(bundle.shapers ?? {}, destination)) return;
  throw new AppError("not_found", 404, `bundle ${bundle.hash} has no script of destination "${destination}"`);
}

function skipsOf(query: URLSearchParams): BatchSkips {
  const events = query.getAll("fail").map((entry): [number, string] => {
    const colon = entry.indexOf(":");
    return [Number(entry.slice(0, colon)), entry.slice(colon + 1)];
  });
  return { scripts: query.getAll("skip"), events };
}

function logLine(message: string, { team, hash }: Bundle, bytes: number, error: unknown): void {
  console.log(
    JSON.stringify({ level: "error", stage: "transform", message, team, bundle: hash, bytes, error: messageOf(error) }),
  );
}
