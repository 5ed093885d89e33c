/** Paths under which a site that proxies capture on its own domain sends what would else go to the root, such as `/ingest`. */
export type Prefixes = readonly string[];

const SEGMENTS = /^(?:\/[\w.~-]+)+$/;

/**
 * A comma-separated list, longest first. Only listed prefixes count: to look for a known path at the end of any path would take
 * `/account/e` of a site that shares the domain for an event. Throws an Error for text that is no path.
 */
export function parsePrefixes(list: string | undefined): Prefixes {
  const prefixes = (list ?? "")
    .split(",")
    .map((text) => text.trim().replace(/\/+$/, ""))
    .filter((text) => text !== "")
    .map((text) => (text.startsWith("/") ? text : `/${text}`));
  const bad = prefixes.find((prefix) => !SEGMENTS.test(prefix));
  if (bad !== undefined) throw new Error(`CAPTURE_PREFIXES: "${bad}" is no path such as /ingest`);
  return prefixes.sort((a, b) => b.length - a.length);
}

/** The request as it would have come without the prefix, and the prefix that it had; the request itself where it had none. */
export function stripPrefix(request: Request, prefixes: Prefixes): { request: Request; prefix: string } {
  if (prefixes.length === 0) return { request, prefix: "" };
  const url = new URL(request.url);
  const prefix = prefixes.find((candidate) => url.pathname === candidate || url.pathname.startsWith(`${candidate}/`));
  if (prefix === undefined) return { request, prefix: "" };
  url.pathname = url.pathname.slice(prefix.length) || "/";
  return { request: new Request(url, request), prefix };
}
