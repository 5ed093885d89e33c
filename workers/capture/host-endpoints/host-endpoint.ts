import type { IRequestStrict } from "itty-router";

/** Something that SDKs ask the host for beside taking events. */
export interface HostEndpoint {
  readonly methods: readonly ("GET" | "HEAD" | "POST")[];
  /** As itty-router writes it. */
  readonly path: string;
  /** `prefix` is what stood before the path, and has been taken off. An AppError becomes a plain-text answer. */
  handle(request: IRequestStrict, prefix: string): Response | Promise<Response>;
}

/** May be kept for `maxAgeS` by any cache on the way; by none where that is 0. */
export function json(value: unknown, maxAgeS = 0): Response {
  const cacheControl = maxAgeS === 0 ? "no-store" : `public, max-age=${maxAgeS}`;
  return new Response(JSON.stringify(value), {
    headers: { "content-type": "application/json", "cache-control": cacheControl },
  });
}
