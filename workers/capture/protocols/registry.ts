import { incomingWebhook } from "./incoming-webhook.ts";
import { pixel } from "./pixel.ts";
import { posthogV0 } from "./posthog-v0.ts";
import { posthogV1 } from "./posthog-v1.ts";
import type { Protocol } from "./protocol.ts";
import { segment } from "./segment.ts";

/** In the order in which their routes are tried. */
export const PROTOCOLS: readonly Protocol[] = [posthogV0, posthogV1, segment, pixel, incomingWebhook];
