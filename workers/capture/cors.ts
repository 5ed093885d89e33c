/*
 * Browsers send from any site, with whatever headers their SDK adds: every origin is let in and told so by name. A preflight does not
 * say whose token it is for; what a source does not let in is refused when it comes, by an answer that its page cannot read.
 */

/** A header value may hold bytes that cannot be set again; no browser sends such an origin or header name. */
const PRINTABLE = /^[\x20-\x7e]+$/;

const unreadable = new WeakSet<Response>();

/** An answer that the page that asked is not to read. */
export function hideFromPage(response: Response): Response {
  unreadable.add(response);
  return response;
}

/** Adds what a browser needs in order to read the answer, errors included. */
export function allowOrigin(request: Request, response: Response): Response {
  const origin = request.headers.get("origin");
  if (origin === null || !PRINTABLE.test(origin) || unreadable.has(response)) return response;
  response.headers.set("access-control-allow-origin", origin);
  response.headers.set("access-control-allow-credentials", "true");
  // SDKs look at it on every answer, and a browser that keeps it back complains in the console.
  response.headers.set("access-control-expose-headers", "retry-after");
  response.headers.append("vary", "origin");
  return response;
}

/** `methods`: those of the path. HEAD is not among those that a browser asks for. */
export function preflight(request: Request, methods: readonly string[]): Response {
  const allowed = [...new Set([...methods, "OPTIONS"])].filter((method) => method !== "HEAD").join(", ");
  const response = new Response(null, { status: 200, headers: { "access-control-allow-methods": allowed } });
  const asked = request.headers.get("access-control-request-headers");
  if (asked !== null && PRINTABLE.test(asked)) response.headers.set("access-control-allow-headers", asked);
  return response;
}
