import type { HostEndpoint } from "./host-endpoint.ts";
import { posthogEndpoints } from "./posthog-host.ts";
import { SEGMENT_ENDPOINTS } from "./segment-settings.ts";
import type { Upstream } from "./upstream.ts";

/** In the order in which their paths are tried. Null: there is no upstream, and each answers for itself. */
export function hostEndpoints(upstream: Upstream | null): readonly HostEndpoint[] {
  return [...posthogEndpoints(upstream), ...SEGMENT_ENDPOINTS];
}
