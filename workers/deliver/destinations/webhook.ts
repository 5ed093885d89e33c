import { z } from "zod";
import { linesToJsonArray } from "../../../shared/ndjson.ts";
import { shapedEvent } from "../shaped-event.ts";
import { commonSettings, timeoutSetting, urlSetting } from "./common-settings.ts";
import type { DestinationKind, OutboundRequest, Outcome, SendDeps, Sent } from "./destination.ts";
import { HEADER_NAME, HEADER_VALUE } from "./header-rules.ts";
import { failure, noAnswer, readStart } from "./http-answer.ts";
import { shapedWebhook } from "./webhook-shaped.ts";
import { sign, signingSecretProblem } from "./webhook-signature.ts";

/** Written by us, or by HTTP itself; a static header of the same name would break the request or its signature. */
const RESERVED_HEADERS =
  /^(webhook-(id|timestamp|signature)|content-(type|length|encoding)|host|connection|transfer-encoding|authorization)$/i;

const headersSchema = z.record(
  z
    .string()
    .regex(HEADER_NAME, "must be a header name")
    .refine((name) => !RESERVED_HEADERS.test(name), "is a header that Headwater sets itself"),
  z.string().regex(HEADER_VALUE, "must be printable ASCII"),
);

const settings = z.strictObject({
  url: urlSetting.describe("Where events are sent"),
  method: z.enum(["POST", "PUT", "PATCH"]).default("POST").describe("HTTP method of every request"),
  headers: headersSchema.default({}).describe("Sent with every request; not secret"),
  authorization: z
    .string()
    .regex(HEADER_VALUE, "must be printable ASCII")
    .optional()
    .describe("Value of the Authorization header; secret"),
  signing_secret: z
    .string()
    .superRefine((secret, ctx) => {
      const problem = signingSecretProblem(secret);
      if (problem !== null) ctx.addIssue({ code: "custom", message: problem });
    })
    .optional()
    .describe("Key of the Standard Webhooks signature: whsec_… or any text"),
  batch: z
    .strictObject({
      max_events: z.int().min(1).max(1_000).default(100).describe("1: the event object itself; else a JSON array"),
      max_bytes: z.int().min(1_000).max(1_000_000).default(1_000_000).describe("Bytes of events in one request"),
      max_wait_ms: z.int().min(0).max(60_000).default(1_000).describe("How long a request may wait to be filled"),
    })
    .prefault({}),
  // Six connections may wait for an answer in one Durable Object; two are left for the database and the configuration.
  concurrency: z.int().min(1).max(6).default(4).describe("Requests under way at once"),
  ordered: z.boolean().default(false).describe("One request at a time; a failed one holds back those behind it"),
  timeout_ms: timeoutSetting,
  ...commonSettings,
});

export type WebhookSettings = z.infer<typeof settings>;

export const webhook: DestinationKind<WebhookSettings> = {
  kind: "webhook",
  settings,
  secrets: ["signing_secret", "authorization"],
  ordered: ({ ordered }) => ordered,
  limits: ({ batch, concurrency, timeout_ms }) => ({
    maxEvents: batch.max_events,
    maxBytes: batch.max_bytes,
    // A single event fills its request.
    maxWaitMs: batch.max_events === 1 ? 0 : batch.max_wait_ms,
    concurrency,
    timeoutMs: timeout_ms,
    shapedAlone: true,
  }),
  send,
};

/** What goes over the wire, less what is signed and timed. */
export interface WebhookRequest {
  /** The `webhook-id`. */
  id: string;
  url: string;
  headers: Record<string, string>;
  body: Uint8Array;
}

async function send(request: OutboundRequest, config: WebhookSettings, deps: SendDeps): Promise<Sent> {
  const shaped = request.shaped === true && request.count === 1 ? shapedEvent(decoder.decode(request.events)) : null;
  if (shaped === null) return { outcomes: await post(plainRequest(request, config), config, deps) };
  const made = shapedWebhook(shaped, config, request.id);
  if ("problem" in made) return { outcomes: { result: "dead", reason: made.problem } };
  const outcome = await post(made, config, deps);
  // The script's own address is gone, which says nothing of the destination's.
  if (outcome.result === "disable" && shaped.$request.url !== undefined)
    return { outcomes: { ...outcome, result: "dead" } };
  return { outcomes: outcome };
}

const decoder = new TextDecoder();

function plainRequest(request: OutboundRequest, config: WebhookSettings): WebhookRequest {
  const single = config.batch.max_events === 1;
  const headers: Record<string, string> = { ...config.headers, "content-type": "application/json" };
  if (config.authorization !== undefined) headers.authorization = config.authorization;
  return {
    id: single ? eventUuid(request) : request.id,
    url: config.url,
    headers,
    body: single ? request.events : linesToJsonArray(request.events),
  };
}

async function post(request: WebhookRequest, config: WebhookSettings, deps: SendDeps): Promise<Outcome> {
  const { host } = new URL(request.url);
  const now = deps.clock.now();
  const { id, body } = request;
  const stamp = { "webhook-id": id, "webhook-timestamp": String(Math.floor(now / 1_000)) };
  const signature = config.signing_secret === undefined ? {} : await sign(config.signing_secret, id, now, body);
  try {
    const response = await deps.fetch(request.url, {
      method: config.method,
      headers: { ...request.headers, ...stamp, ...signature },
      body: body as Uint8Array<ArrayBuffer>,
      redirect: "manual",
      signal: deps.signal,
    });
    if (response.ok) {
      // Left unread, the body would hold the connection.
      void response.body?.cancel().catch(() => undefined);
      return { result: "delivered" };
    }
    return failure(response, await readStart(response), host, deps.clock.now());
  } catch (error) {
    return noAnswer(error, deps.signal, host);
  }
}

/** As capture writes it: the uuid comes first. */
const LEADING_UUID = /^\{"uuid":"([0-9a-fA-F-]{36})"/;
/** Bytes of the event's start that hold it. */
const LEADING_BYTES = 64;

/** The event's uuid, without parsing the event where it stands in front; the request's id where a script has taken it away. */
function eventUuid(request: OutboundRequest): string {
  const leading = LEADING_UUID.exec(decoder.decode(request.events.subarray(0, LEADING_BYTES)));
  if (leading?.[1] !== undefined) return leading[1];
  const event: unknown = JSON.parse(decoder.decode(request.events));
  const uuid = (event as { uuid?: unknown } | null)?.uuid;
  return typeof uuid === "string" && /^[0-9a-fA-F-]{36}$/.test(uuid) ? uuid : request.id;
}
