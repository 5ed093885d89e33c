import { IttyRouter } from "itty-router";
import { AppError } from "../../shared/errors.ts";
import { getConfig, putConfig } from "./api/config.ts";
import { discardDeadLetters, exportDeadLetters, listDeadLetters, replayDeadLetters } from "./api/dead-letters.ts";
import { listDestinations, pauseDestination, resumeDestination } from "./api/destinations.ts";
import { getFlow } from "./api/flow.ts";
import { getHealth } from "./api/health.ts";
import { getMetrics } from "./api/metrics.ts";
import { discardQuarantine, listQuarantine, listSamples, replayQuarantine } from "./api/quarantine.ts";
import { cancelReplay, getReplay, listReplays, startReplay } from "./api/replays.ts";
import type { Call } from "./api/request.ts";
import { listTeams } from "./api/teams.ts";
import { listTemplates } from "./api/templates.ts";
import { testTransformation } from "./api/test-bench.ts";
import { listTransformations } from "./api/transformations.ts";
import { getVersion, listVersions, rollBack } from "./api/versions.ts";
import { authorise } from "./auth.ts";
import type { ConsoleDeps } from "./deps.ts";
import { problemResponse } from "./problem.ts";

type Handler = (call: Call, deps: ConsoleDeps) => Promise<Response>;

interface Route {
  method: "GET" | "PUT" | "POST" | "DELETE";
  path: string;
  handler: Handler;
  /** Without the admin token. */
  open?: true;
}

const ROUTES: readonly Route[] = [
  { method: "GET", path: "/api/health", handler: getHealth, open: true },
  { method: "GET", path: "/api/config", handler: getConfig },
  { method: "PUT", path: "/api/config", handler: putConfig },
  { method: "GET", path: "/api/teams", handler: listTeams },
  { method: "GET", path: "/api/templates", handler: listTemplates },
  { method: "GET", path: "/api/teams/:team/flow", handler: getFlow },
  { method: "GET", path: "/api/teams/:team/destinations", handler: listDestinations },
  { method: "POST", path: "/api/teams/:team/destinations/:destination/pause", handler: pauseDestination },
  { method: "POST", path: "/api/teams/:team/destinations/:destination/resume", handler: resumeDestination },
  { method: "GET", path: "/api/teams/:team/transformations", handler: listTransformations },
  { method: "POST", path: "/api/teams/:team/transformations/test", handler: testTransformation },
  { method: "GET", path: "/api/teams/:team/versions", handler: listVersions },
  { method: "GET", path: "/api/teams/:team/versions/:version", handler: getVersion },
  { method: "POST", path: "/api/teams/:team/rollback", handler: rollBack },
  { method: "GET", path: "/api/teams/:team/dead-letters", handler: listDeadLetters },
  { method: "GET", path: "/api/teams/:team/dead-letters/export", handler: exportDeadLetters },
  { method: "POST", path: "/api/teams/:team/dead-letters/replay", handler: replayDeadLetters },
  { method: "POST", path: "/api/teams/:team/dead-letters/discard", handler: discardDeadLetters },
  { method: "POST", path: "/api/teams/:team/replay", handler: startReplay },
  { method: "GET", path: "/api/teams/:team/replays", handler: listReplays },
  { method: "GET", path: "/api/teams/:team/replays/:replay", handler: getReplay },
  { method: "DELETE", path: "/api/teams/:team/replays/:replay", handler: cancelReplay },
  { method: "GET", path: "/api/teams/:team/quarantine", handler: listQuarantine },
  { method: "POST", path: "/api/teams/:team/quarantine/replay", handler: replayQuarantine },
  { method: "POST", path: "/api/teams/:team/quarantine/discard", handler: discardQuarantine },
  { method: "GET", path: "/api/teams/:team/samples", handler: listSamples },
  { method: "GET", path: "/metrics", handler: getMetrics },
];

/** The console's HTTP interface. Every error is an `application/problem+json` answer. */
export function createRouter(deps: ConsoleDeps): { fetch(request: Request): Promise<Response> } {
  const router = IttyRouter();
  for (const { method, path, handler, open } of ROUTES) {
    const register = { GET: router.get, PUT: router.put, POST: router.post, DELETE: router.delete }[method];
    register(path, async ({ params }, request: Request) => {
      if (open === undefined) await authorise(request, deps.adminToken);
      return handler({ request, params, url: new URL(request.url) }, deps);
    });
  }
  return {
    fetch: async (request) => {
      try {
        // itty-router writes its findings onto what it is given, so it gets an object of its own.
        const { method, url } = request;
        const response: Response | undefined = await router.fetch({ method, url }, request);
        return response ?? (await unmatched(request, router.routes, deps));
      } catch (error) {
        return problemResponse(
          error,
          error instanceof AppError && error.status === 401 ? { "WWW-Authenticate": "Bearer" } : {},
        );
      }
    },
  };
}

async function unmatched(
  request: Request,
  routes: readonly (readonly [string, RegExp, ...unknown[]])[],
  deps: ConsoleDeps,
): Promise<Response> {
  await authorise(request, deps.adminToken);
  const { pathname } = new URL(request.url);
  const methods = routes.filter(([, pattern]) => pattern.test(pathname)).map(([method]) => method);
  if (methods.length === 0) throw new AppError("not_found", 404, `there is no ${pathname} in this API`);
  const allow = methods.join(", ");
  return problemResponse(new AppError("method_not_allowed", 405, `${pathname} takes ${allow}, not ${request.method}`), {
    Allow: allow,
  });
}
