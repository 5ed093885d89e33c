import { type IRequestStrict, IttyRouter } from "itty-router";
import { Accept, type AcceptDeps } from "./accept.ts";
import { allowOrigin, preflight } from "./cors.ts";
import type { HostEndpoint } from "./host-endpoints/host-endpoint.ts";
import { plainText } from "./plain-text.ts";
import { type Prefixes, stripPrefix } from "./prefixes.ts";
import { PROTOCOLS } from "./protocols/registry.ts";

/** Ingress: which way a request goes, and what every answer has. The way itself is Accept's. */
export interface IngressDeps extends AcceptDeps {
  /** What is answered beside events; nothing if absent. */
  endpoints?: readonly HostEndpoint[];
  /** None if absent. */
  prefixes?: Prefixes;
}

export interface Ingress {
  fetch(request: Request): Promise<Response>;
}

const HEALTH_PATHS = ["/", "/_liveness", "/_readiness"];
/** What a browser is told of a path that nothing is at, so that its page can read the 404. */
const ANY_PATH_METHODS = ["GET", "POST"];
export function createIngress(deps: IngressDeps): Ingress {
  const accept = new Accept(deps);
  const router = IttyRouter<IRequestStrict, [prefix: string]>();
  const allowed = new Map<string, string[]>();
  const serve = (method: string, path: string, handler: HostEndpoint["handle"]) => {
    (router[method.toLowerCase()] as typeof router.all)(path, handler);
    allowed.set(path, [...(allowed.get(path) ?? []), method]);
  };
  for (const protocol of PROTOCOLS) {
    for (const { method, path } of protocol.routes) serve(method, path, (request) => accept.request(protocol, request));
  }
  for (const { methods, path, handle } of deps.endpoints ?? []) {
    for (const method of methods) serve(method, path, (request, prefix) => accept.question(handle, request, prefix));
  }
  for (const path of HEALTH_PATHS) {
    serve("GET", path, () => plainText(200, "capture"));
    serve("HEAD", path, () => plainText(200, "capture"));
  }
  for (const [path, methods] of allowed) {
    router.options(path, (request) => preflight(request, methods));
    router.all(path, () => methodNotAllowed(methods));
  }
  router.options("*", (request) => preflight(request, ANY_PATH_METHODS));
  router.all("*", notFound);
  return {
    async fetch(given) {
      const { request, prefix } = stripPrefix(given, deps.prefixes ?? []);
      const response: Response = allowOrigin(request, await router.fetch(request, prefix));
      return request.method === "HEAD" ? withoutBody(response) : response;
    },
  };
}

function methodNotAllowed(methods: readonly string[]): Response {
  const allow = [...methods, "OPTIONS"].join(", ");
  const response = plainText(405, `this path takes ${allow}`);
  response.headers.set("allow", allow);
  return response;
}

function notFound(): Response {
  const paths = PROTOCOLS.flatMap((protocol) => protocol.routes)
    .filter(({ method }) => method === "POST")
    .map(({ method, path }) => `${method} ${path}`);
  return plainText(404, `nothing is served at this path; events go to ${paths.join(", ")}`);
}

/** Workers must not answer HEAD with a body themselves. */
function withoutBody(response: Response): Response {
  return new Response(null, { status: response.status, headers: response.headers });
}
