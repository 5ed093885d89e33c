/**
 * `headwater:url`: addresses read and changed. What changes a query or a path works on the text, so relative addresses do too, and
 * all else of them stays as it was written.
 */
export interface ParsedUrl {
  href: string;
  /** Without the colon: `https` */
  protocol: string;
  /** With the port, where it is not the protocol's own. */
  host: string;
  hostname: string;
  path: string;
  /** Without `?`; the first value of each name. */
  query: Record<string, string>;
  /** Without `#` */
  hash: string;
}

export interface NormalizeOptions {
  /** What follows `?`: names sorted (default), `keep` as it is, or `remove` it. */
  query?: "sort" | "keep" | "remove";
  /** What follows `#`. Default: remove */
  hash?: "keep" | "remove";
  /** The slash at the end of a path. Default: remove */
  trailingSlash?: "keep" | "remove";
  /** Path in lower case. Default: false */
  lowercasePath?: boolean;
  /** `www.` before the host. Default: keep */
  www?: "keep" | "remove";
}

export interface CensorOptions {
  /** What comes in the place of a part. Default: `:id` */
  replacement?: string;
  /** Segments that are numbers, UUIDs, long runs of hex digits, or hold an `@`. Default: true */
  ids?: boolean;
  /** The segments that follow these, such as `["users"]` for `/users/ada`. */
  after?: readonly string[];
  /** Segments by position, from 0. */
  segments?: readonly number[];
}

const ID_SEGMENT = /^(\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}|.*(@|%40).*)$/i;

/** Null for what is no absolute address. */
export function parseUrl(url: unknown): ParsedUrl | null {
  if (typeof url !== "string" || !URL.canParse(url)) return null;
  const { href, protocol, host, hostname, pathname, search, hash } = new URL(url);
  const query = queryParams(search);
  return { href, protocol: protocol.slice(0, -1), host, hostname, path: pathname, query, hash: hash.slice(1) };
}

/** The query of an address as an object; of several values of a name the first one. */
export function queryParams(url: string): Record<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(split(url).query)) if (!found.has(name)) found.set(name, value);
  return Object.fromEntries(found);
}

/** Null where the query does not have it. */
export function getQuery(url: string, name: string): string | null {
  return new URLSearchParams(split(url).query).get(name);
}

/** With these values in the query; null takes a name away. */
export function setQuery(url: string, values: Readonly<Record<string, string | number | boolean | null>>): string {
  return withParams(url, (params) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === null) params.delete(name);
      else params.set(name, String(value));
    }
  });
}

/** Without these names in the query; without any query where no names are given. `utm_*` takes all that begin so. */
export function removeQuery(url: string, names?: readonly string[]): string {
  const isGone = matcherOf(names ?? ["*"]);
  return withParams(url, (params) => {
    for (const name of [...params.keys()]) if (isGone(name)) params.delete(name);
  });
}

/** With `replacement` for the values of these names in the query. `utm_*` means all that begin so. */
export function censorQuery(url: string, names: readonly string[], replacement = "redacted"): string {
  const isSecret = matcherOf(names);
  return withParams(url, (params) => {
    for (const name of new Set(params.keys())) if (isSecret(name)) params.set(name, replacement);
  });
}

/** With `replacement` for the parts of the path that tell who somebody is, so that pages group. */
export function censorPath(url: string, options: CensorOptions = {}): string {
  const { replacement = ":id", ids = true, after = [], segments = [] } = options;
  const { origin, path, search, hash } = split(url);
  let position = -1;
  let before = "";
  const censored = path.split("/").map((segment) => {
    if (segment === "") return segment;
    position++;
    const isSecret = segments.includes(position) || after.includes(before) || (ids && ID_SEGMENT.test(segment));
    before = segment;
    return isSecret ? replacement : segment;
  });
  return origin + censored.join("/") + search + hash;
}

/** One way of writing for addresses of the same page. What is no absolute address comes back as it is. */
export function normalizeUrl(url: string, options: NormalizeOptions = {}): string {
  if (!URL.canParse(url)) return url;
  const { query = "sort", hash = "remove", trailingSlash = "remove", lowercasePath = false, www = "keep" } = options;
  const parsed = new URL(url);
  if (query === "sort") parsed.searchParams.sort();
  if (query === "remove") parsed.search = "";
  if (hash === "remove") parsed.hash = "";
  if (lowercasePath) parsed.pathname = parsed.pathname.toLowerCase();
  if (trailingSlash === "remove" && parsed.pathname.endsWith("/")) parsed.pathname = withoutSlashes(parsed.pathname);
  if (www === "remove" && parsed.hostname.startsWith("www.")) parsed.hostname = parsed.hostname.slice("www.".length);
  return parsed.pathname === "/" && trailingSlash === "remove" ? withoutRoot(parsed) : parsed.href;
}

function withParams(url: string, change: (params: URLSearchParams) => void): string {
  const { origin, path, query, hash } = split(url);
  const params = new URLSearchParams(query);
  change(params);
  const text = params.toString();
  return origin + path + (text === "" ? "" : `?${text}`) + hash;
}

function matcherOf(names: readonly string[]): (name: string) => boolean {
  const whole = new Set(names.filter((name) => !name.endsWith("*")));
  const starts = names.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => whole.has(name) || starts.some((start) => name.startsWith(start));
}

/** Together they are the address again. `search` and `hash` hold their sign, `query` does not. */
function split(url: string): { origin: string; path: string; search: string; query: string; hash: string } {
  const sharp = url.indexOf("#");
  const before = sharp === -1 ? url : url.slice(0, sharp);
  const mark = before.indexOf("?");
  const address = mark === -1 ? before : before.slice(0, mark);
  const search = mark === -1 ? "" : before.slice(mark);
  const [origin = ""] = /^([a-z][a-z0-9+.-]{0,30}:)?\/\/[^/]*/i.exec(address) ?? [];
  const hash = sharp === -1 ? "" : url.slice(sharp);
  return { origin, path: address.slice(origin.length), search, query: search.slice(1), hash };
}

function withoutSlashes(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === "/") end--;
  return path.slice(0, end);
}

function withoutRoot({ protocol, username, host, search, hash, href }: URL): string {
  return username === "" && host !== "" ? `${protocol}//${host}${search}${hash}` : href;
}
