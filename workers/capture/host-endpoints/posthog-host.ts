import type { IRequestStrict } from "itty-router";
import { AppError } from "../../../shared/errors.ts";
import { type HostEndpoint, json } from "./host-endpoint.ts";
import type { Upstream } from "./upstream.ts";

/** Without an upstream the answers change with a release of Headwater; a browser may keep them this long. */
const MAX_AGE_S = 300;

/** Everything that has to be fetched or asked for is off, so that the SDK starts and captures, and nothing else. */
const REMOTE_CONFIG = {
  supportedCompression: ["gzip", "gzip-js"],
  hasFeatureFlags: false,
  captureDeadClicks: false,
  capturePerformance: { network_timing: false, web_vitals: false, web_vitals_allowed_metrics: null },
  autocapture_opt_out: false,
  autocaptureExceptions: false,
  analytics: { endpoint: "/i/v0/e/" },
  elementsChainAsString: true,
  errorTracking: { autocaptureExceptions: false, suppressionRules: [] },
  logs: { captureConsoleLogs: false },
  sessionRecording: false,
  heatmaps: false,
  surveys: false,
  conversations: false,
  productTours: false,
  siteApps: [],
  siteAppsJS: [],
  defaultIdentifiedOnly: true,
  isAuthenticated: false,
};

/** The answers of all versions at once: each SDK reads what it knows. */
const NO_FLAGS = {
  ...REMOTE_CONFIG,
  config: { enable_collect_everything: true },
  flags: {},
  featureFlags: {},
  featureFlagPayloads: {},
  errorsWhileComputingFlags: false,
};

/**
 * What PostHog's SDKs ask the host for beside taking events: from the upstream where one is set, else the least that lets them start
 * without an error. An upstream that fails is told as such and not covered up: "no flags" would turn features off.
 */
export function posthogEndpoints(upstream: Upstream | null): readonly HostEndpoint[] {
  const get = (path: string, otherwise: (request: IRequestStrict) => Response): HostEndpoint => ({
    methods: ["GET", "HEAD"],
    path,
    handle: upstream === null ? otherwise : (request) => upstream.fetch(request),
  });
  const flags = (path: string): HostEndpoint => ({
    ...get(path, () => json(NO_FLAGS)),
    methods: ["GET", "HEAD", "POST"],
  });
  return [
    flags("/flags"),
    flags("/decide"),
    get("/array/:token/config", () => json(REMOTE_CONFIG, MAX_AGE_S)),
    get("/array/:token/config.js", configScript),
    get("/array/*", notWithoutUpstream),
    get("/static/*", notWithoutUpstream),
    get("/api/surveys", () => json({ surveys: [] })),
    get("/api/product_tours", () => json({ product_tours: [] })),
    get("/api/early_access_features", () => json({ earlyAccessFeatures: [] })),
    get("/api/web_experiments", () => json({ experiments: [] })),
  ];
}

const TOKEN = /^[\w.:~-]{1,64}$/;

/** The script hands the same configuration over to an SDK that was loaded by a snippet. */
function configScript(request: IRequestStrict): Response {
  const token = request.params.token ?? "";
  if (!TOKEN.test(token))
    throw new AppError("invalid_token", 400, "the path must name a token: /array/<token>/config.js");
  const [key, value] = [JSON.stringify(token), JSON.stringify({ config: { token, ...REMOTE_CONFIG }, siteApps: [] })];
  const script = `(function(){window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{};window._POSTHOG_REMOTE_CONFIG[${key}]=${value}})();`;
  const headers = {
    "content-type": "application/javascript; charset=utf-8",
    "cache-control": `public, max-age=${MAX_AGE_S}`,
  };
  return new Response(script, { headers });
}

function notWithoutUpstream(): Response {
  throw new AppError(
    "no_upstream",
    404,
    "nothing is served at this path: set UPSTREAM_ASSETS_URL to where the SDK's scripts are, such as https://us-assets.i.posthog.com",
  );
}
