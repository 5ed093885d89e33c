import type { IRequestStrict } from "itty-router";
import { type HostEndpoint, json } from "./host-endpoint.ts";

/** Settings change with a release of Headwater; a browser may keep them this long. */
const MAX_AGE_S = 300;

/**
 * What the browser SDKs of Segment and RudderStack read before they start, and where they leave figures about themselves. The
 * settings are the same for every write key, known or not: an unknown one is told so when it sends events.
 */
export const SEGMENT_ENDPOINTS: readonly HostEndpoint[] = [
  { methods: ["GET", "HEAD"], path: "/v1/projects/:writeKey/settings", handle: settings },
  { methods: ["GET", "HEAD"], path: "/sourceConfig", handle: sourceConfig },
  // Counters of the SDKs about themselves; nobody here reads them.
  { methods: ["POST"], path: "/v1/m", handle: taken },
  { methods: ["POST"], path: "/rsaMetrics", handle: taken },
];

/** Tells analytics.js to send events to where it has read this. */
function settings(request: IRequestStrict, prefix: string): Response {
  const { protocol, host } = addressOf(request);
  const apiKey = decoded(request.params.writeKey);
  return json(
    {
      integrations: {
        "Segment.io": {
          apiKey,
          apiHost: `${host}${prefix}/v1`,
          protocol,
          unbundledIntegrations: [],
          addBundledMetadata: true,
        },
      },
      plan: { track: { __default: { enabled: true, integrations: {} } }, identify: {}, group: {} },
      edgeFunction: {},
      analyticsNextEnabled: true,
      middlewareSettings: { routingRules: [] },
      enabledMiddleware: {},
      metrics: { sampleRate: 0 },
      legacyVideoPluginsEnabled: false,
      remotePlugins: [],
    },
    MAX_AGE_S,
  );
}

function decoded(segment: string | undefined): string {
  try {
    return decodeURIComponent(segment ?? "");
  } catch {
    return segment ?? "";
  }
}

/** The scheme is the client's, which a proxy that ends TLS knows better than the request. */
function addressOf(request: IRequestStrict): { protocol: "http" | "https"; host: string } {
  const url = new URL(request.url);
  const forwarded = request.headers.get("x-forwarded-proto")?.split(",", 1)[0]?.trim().toLowerCase();
  const secure = forwarded === "https" || (forwarded !== "http" && url.protocol === "https:");
  return { protocol: secure ? "https" : "http", host: url.host };
}

/** Tells RudderStack's SDK that the source is on, without destinations of its own and without reports about itself. */
function sourceConfig(request: IRequestStrict): Response {
  const writeKey = new URL(request.url).searchParams.get("writeKey") ?? "";
  return json(
    {
      source: {
        id: writeKey === "" ? "headwater" : writeKey,
        name: "headwater",
        writeKey,
        workspaceId: "headwater",
        enabled: true,
        config: { statsCollection: { errors: { enabled: false }, metrics: { enabled: false } } },
        connections: [],
        destinations: [],
      },
    },
    MAX_AGE_S,
  );
}

function taken(): Response {
  return json({ success: true });
}
