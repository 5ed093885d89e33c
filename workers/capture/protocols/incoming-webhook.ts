import type { AppError } from "../../../shared/errors.ts";
import { readBody } from "../decode/body.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import { readWebhookBody } from "./incoming-webhook-body.ts";
import { UnverifiableError } from "./incoming-webhook-errors.ts";
import { type WebhookSource, webhookEvent } from "./incoming-webhook-event.ts";
import { type Verify, verifySender } from "./incoming-webhook-verify.ts";
import { pathSegment } from "./path-segment.ts";
import { checkedToken } from "./posthog-token.ts";
import type { CaptureContext, Protocol } from "./protocol.ts";

/** A request becomes one event, which has to keep to a quarter of this anyway. */
const REQUEST_BYTES = 4 * 1024 * 1024;

/**
 * Requests of services that send webhooks. One request is one event that holds all of it, durable before the answer; what it means is
 * for the source's own script to say, which runs later, so that a mistake in it loses nothing.
 *
 * Nothing is unpacked, parsed or stored of a request that does not prove where it comes from, if its source wants proof.
 */
export const incomingWebhook: Protocol = {
  name: "webhook",
  kind: "webhook",
  routes: [{ method: "POST", path: "/w/:token" }],

  tokenOf({ params }) {
    return checkedToken(pathSegment(params.token));
  },

  async decode(request, context) {
    const source = sourceOf(context);
    const limits = limitsOf(context.limits);
    const raw = await readBody(request, limits.wireBytes);
    if (source.verify !== undefined) await requireProof(source.verify, request, raw, context);
    const body = await readWebhookBody(raw, request.headers, limits);
    return {
      token: checkedToken(pathSegment(context.params.token)),
      events: [webhookEvent(request, body, source, context)],
    };
  },

  success({ events: [event] }) {
    return json(200, { success: true, uuid: event?.uuid });
  },

  failure(error: AppError) {
    const { code, message, field } = error;
    const response = json(error.status, { success: false, code, message, field });
    if (error.retryAfterS !== undefined) response.headers.set("retry-after", String(error.retryAfterS));
    return response;
  },
};

/** Who cannot look up the source does not know whom it trusts: here is no failing open. */
function sourceOf({ resolution }: CaptureContext): WebhookSource {
  if (resolution?.source === undefined) throw new UnverifiableError("the configuration cannot be read");
  const { team, source } = resolution;
  return { team, id: source.id, verify: source.verify };
}

async function requireProof(
  verify: Verify,
  { headers }: Request,
  body: Uint8Array<ArrayBuffer>,
  { openSecret, nowMs }: CaptureContext,
): Promise<void> {
  let secret: string;
  try {
    secret = await openSecret(verify.sealed);
  } catch (error) {
    throw new UnverifiableError(error);
  }
  await verifySender(verify, secret, { headers, body, nowMs });
}

function limitsOf(limits: DecodeLimits): DecodeLimits {
  return {
    ...limits,
    wireBytes: Math.min(limits.wireBytes, REQUEST_BYTES),
    decompressedBytes: Math.min(limits.decompressedBytes, REQUEST_BYTES),
  };
}

function json(status: number, body: Record<string, unknown>): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
}
