import type { Event } from "../../../shared/event.ts";
import { formatTimestamp } from "../../../shared/timestamp.ts";
import { canonicalUuid } from "../../../shared/uuid.ts";
import { UuidV5 } from "../../../shared/uuid-v5.ts";
import { distinctIdText } from "./distinct-id.ts";
import { grouped, type WebhookBody } from "./incoming-webhook-body.ts";
import { secretHeader, standardPrefix, type Verify } from "./incoming-webhook-verify.ts";
import { isObject } from "./json-object.ts";
import type { CaptureContext } from "./protocol.ts";

/** Every request is called this; the source's own script gives the events their names. */
export const WEBHOOK_EVENT = "webhook";

/** The namespace of delivery ids. Changing it would make every request that is sent again a new event. */
const DELIVERY_IDS = new UuidV5("5f0c1a3e-7d52-4f0b-8f4e-0d5f3b1c9a27");

/** What the event has to know of its source. */
export interface WebhookSource {
  id: string;
  team: string;
  verify?: Verify | undefined;
}

/** One request as one event; what it means is for the source's own script to say. */
export function webhookEvent(
  request: Request,
  given: WebhookBody,
  source: WebhookSource,
  context: CaptureContext,
): Event {
  const { body, error } = given;
  const event: Event = {
    uuid: deliveryUuid(request.headers, body, source) ?? context.mintUuid(),
    event: WEBHOOK_EVENT,
    distinct_id: distinctIdOf(body, context.limits.nestingLevels) || source.id,
    timestamp: formatTimestamp(context.nowMs),
    properties: {
      method: request.method,
      query: grouped(new URL(request.url).searchParams),
      headers: keptHeaders(request.headers, source.verify),
      content_type: request.headers.get("content-type"),
      body,
      ...(error === undefined ? {} : { body_error: error }),
    },
    ip: context.client.ip,
    received_at: formatTimestamp(context.nowMs),
    source: source.id,
  };
  return event;
}

/** Where senders say which delivery it is; the same one when they try again. */
const DELIVERY_HEADERS = ["webhook-id", "svix-id", "x-github-delivery"];

/** Null where the request does not say which delivery it is. */
function deliveryUuid(headers: Headers, body: unknown, { id, team, verify }: WebhookSource): string | null {
  for (const name of deliveryHeaders(headers, verify)) {
    const delivery = headers.get(name);
    // Only of Standard Webhooks is an id the event's own; GitHub's names a delivery to one of many receivers.
    if (delivery)
      return (name === "webhook-id" && canonicalUuid(delivery)) || DELIVERY_IDS.of(`${team}/${id}/${delivery}`);
  }
  const stripe = verify?.scheme === "stripe" && isObject(body) ? body.id : null;
  return typeof stripe === "string" && stripe !== "" ? DELIVERY_IDS.of(`${team}/${id}/${stripe}`) : null;
}

/**
 * Where a signature covers the id, no other one counts: with one of their own choice beside it, whoever has seen a signed request could
 * send it again as many deliveries.
 */
function deliveryHeaders(headers: Headers, verify: Verify | undefined): readonly string[] {
  switch (verify?.scheme) {
    case "standard-webhooks":
      return [`${standardPrefix(headers)}-id`];
    case "stripe":
      return [];
    case "github":
      return ["x-github-delivery"];
    default:
      return DELIVERY_HEADERS;
  }
}

const USER_FIELDS = ["distinct_id", "user_id", "userId"];

/** Empty where the body names no user. */
function distinctIdOf(body: unknown, nestingLevels: number): string {
  if (!isObject(body)) return "";
  for (const field of USER_FIELDS) {
    const value = Object.hasOwn(body, field) ? body[field] : undefined;
    if (typeof value !== "string" && typeof value !== "number") continue;
    const text = distinctIdText(value, nestingLevels);
    if (text !== "") return text;
  }
  return "";
}

/** Headers that may hold a secret or a proof of one (invariant 8). */
const SECRET_HEADER = /authorization|cookie|secret|signature|token|api-?key|passw|hmac|jwt/;
/** What the way here has added, addresses of all sorts of proxies above all, and what is about the transport alone. */
const TRANSPORT_HEADER =
  /^(?:cf-.*|cdn-loop|.*forwarded.*|.*-ip|.*(?:client|socket|remote)ip|.*-(?:viewer|external|remote)-addr(?:ess)?|via|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|content-(?:length|encoding)|accept-encoding)$/;

function keptHeaders(headers: Headers, verify: Verify | undefined): Record<string, string> {
  const secret = verify?.scheme === "secret" ? secretHeader(verify.header) : null;
  return Object.fromEntries(
    [...headers].filter(([name]) => name !== secret && !SECRET_HEADER.test(name) && !TRANSPORT_HEADER.test(name)),
  );
}
