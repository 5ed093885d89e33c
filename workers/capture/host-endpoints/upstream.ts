import { AppError } from "../../../shared/errors.ts";
import type { ClientReader } from "../client.ts";
import { readBody } from "../decode/body.ts";

export interface UpstreamDeps {
  /** Base URL for what is asked of an API, without a trailing slash. */
  apiUrl: string;
  /** Base URL for scripts and what stands beside them. */
  assetsUrl: string;
  client: ClientReader;
  /** Bounded in time by its owner. */
  fetch(request: Request): Promise<Response>;
  /** Null where the runtime has none. Keeps to what an answer's Cache-Control allows. */
  cache: UpstreamCache | null;
  waitUntil(promise: Promise<unknown>): void;
}

export type UpstreamCache = Pick<Cache, "match" | "put">;

/** A question about flags takes some kilobytes; a person's properties may come with it. */
const BODY_BYTES = 1024 * 1024;
/** The answer is one person's, whatever it says about caches. */
const PERSONAL_PATH = /^\/(?:flags|decide)\b/;
const ASSET_PATH = /^\/(?:static|array)\//;

/** What the upstream may know of the client. Cookies and credentials of the site that shares the domain are not among it. */
const PASSED_ON = [
  "accept",
  "accept-language",
  "content-encoding",
  "content-type",
  "if-modified-since",
  "if-none-match",
  "origin",
  "referer",
  "user-agent",
];
/** Of an answer: what belongs to one connection, to the upstream's own origin, or is said anew on the way out. */
const LEFT_OUT =
  /^(?:access-control-.*|connection|content-encoding|content-length|keep-alive|set-cookie|transfer-encoding)$/;

/** Passes requests on to the host that SDKs would ask if Headwater were not in front of it. */
export class Upstream {
  readonly #deps: UpstreamDeps;

  constructor(deps: UpstreamDeps) {
    this.#deps = deps;
  }

  /** Throws AppError 502 where the upstream does not answer, 4xx where the client's body cannot be read. */
  async fetch(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const base = ASSET_PATH.test(pathname) ? this.#deps.assetsUrl : this.#deps.apiUrl;
    const url = base + pathname + search;
    if (request.method !== "GET" || PERSONAL_PATH.test(pathname)) return this.#ask(url, request);
    const key = new Request(url);
    const cached = await this.#cached(key);
    if (cached !== undefined) return new Response(cached.body, cached);
    const response = await this.#ask(url, request);
    if (response.status === 200) this.#keep(key, response.clone());
    return response;
  }

  async #ask(url: string, request: Request): Promise<Response> {
    const body = request.method === "POST" ? await readBody(request, BODY_BYTES) : null;
    const passed = new Request(url, {
      method: request.method,
      headers: this.#headers(request),
      body,
      redirect: "manual",
    });
    let response: Response;
    try {
      response = await this.#deps.fetch(passed);
    } catch (error) {
      const { host } = new URL(url);
      throw new AppError("upstream_failed", 502, `the upstream ${host} does not answer; try again later`, {
        cause: error,
      });
    }
    const headers = new Headers();
    for (const [name, value] of response.headers) if (!LEFT_OUT.test(name)) headers.append(name, value);
    return new Response(response.body, { status: response.status, headers });
  }

  #headers(request: Request): Headers {
    const headers = new Headers();
    for (const name of PASSED_ON) {
      const value = request.headers.get(name);
      if (value !== null) headers.set(name, value);
    }
    const { ip } = this.#deps.client(request);
    if (ip !== null) headers.set("x-forwarded-for", ip);
    return headers;
  }

  /** The cache only saves a request: where it fails, there is none. */
  async #cached(key: Request): Promise<Response | undefined> {
    return this.#deps.cache?.match(key).catch(() => undefined);
  }

  #keep(key: Request, response: Response): void {
    if (this.#deps.cache !== null) this.#deps.waitUntil(this.#deps.cache.put(key, response).catch(() => undefined));
  }
}

/** Null where the operator has named none. Throws an Error for an address that is none. */
export function upstreamOf(
  env: { UPSTREAM_URL?: string; UPSTREAM_ASSETS_URL?: string },
  deps: Omit<UpstreamDeps, "apiUrl" | "assetsUrl">,
): Upstream | null {
  const assets = env.UPSTREAM_ASSETS_URL ?? env.UPSTREAM_URL;
  const api = env.UPSTREAM_URL ?? assets;
  if (api === undefined || assets === undefined) return null;
  return new Upstream({
    ...deps,
    apiUrl: baseUrl("UPSTREAM_URL", api),
    assetsUrl: baseUrl("UPSTREAM_ASSETS_URL", assets),
  });
}

function baseUrl(variable: string, text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text))
    throw new Error(`${variable}: "${text}" is no http or https address`);
  return text.replace(/\/+$/, "");
}
