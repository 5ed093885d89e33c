import { z } from "zod";
import { linesToJsonArray } from "../../../shared/ndjson.ts";
import { commonSettings, timeoutSetting, urlSetting } from "./common-settings.ts";
import type { DestinationKind, OutboundRequest, SendDeps, Sent } from "./destination.ts";
import { failure, noAnswer, readStart } from "./http-answer.ts";
import { sign, signingSecretProblem } from "./webhook-signature.ts";

/** Written by us, or by HTTP itself; a static header of the same name would break the request or its signature. */
const RESERVED_HEADERS =
  /^(webhook-(id|timestamp|signature)|content-(type|length|encoding)|host|connection|transfer-encoding|authorization)$/i;
/** RFC 9110 field names. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 field values, ASCII only: what every server reads the same way. */
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;

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
  }),
  send,
};

async function send(request: OutboundRequest, config: WebhookSettings, deps: SendDeps): Promise<Sent> {
  const { host } = new URL(config.url);
  const body = config.batch.max_events === 1 ? request.events : linesToJsonArray(request.events);
  const headers = await requestHeaders(request, config, deps.clock.now(), body);
  try {
    const response = await deps.fetch(config.url, {
      method: config.method,
      headers,
      body: body as Uint8Array<ArrayBuffer>,
      redirect: "manual",
      signal: deps.signal,
    });
    if (response.ok) {
      // Left unread, the body would hold the connection.
      void response.body?.cancel().catch(() => undefined);
      return { outcomes: { result: "delivered" } };
    }
    return { outcomes: failure(response, await readStart(response), host, deps.clock.now()) };
  } catch (error) {
    return { outcomes: noAnswer(error, deps.signal, host) };
  }
}

async function requestHeaders(request: OutboundRequest, config: WebhookSettings, now: number, body: Uint8Array) {
  const id = config.batch.max_events === 1 ? eventUuid(request) : request.id;
  const headers: Record<string, string> = {
    ...config.headers,
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now / 1_000)),
  };
  if (config.authorization !== undefined) headers.authorization = config.authorization;
  if (config.signing_secret !== undefined) Object.assign(headers, await sign(config.signing_secret, id, now, body));
  return headers;
}

/** As capture writes it: the uuid comes first. */
const LEADING_UUID = /^\{"uuid":"([0-9a-fA-F-]{36})"/;
/** Bytes of the event's start that hold it. */
const LEADING_BYTES = 64;

/** The event's uuid, without parsing the event where it stands in front; the request's id where a script has taken it away. */
function eventUuid(request: OutboundRequest): string {
  const decoder = new TextDecoder();
  const leading = LEADING_UUID.exec(decoder.decode(request.events.subarray(0, LEADING_BYTES)));
  if (leading?.[1] !== undefined) return leading[1];
  const event: unknown = JSON.parse(decoder.decode(request.events));
  const uuid = (event as { uuid?: unknown } | null)?.uuid;
  return typeof uuid === "string" && /^[0-9a-fA-F-]{36}$/.test(uuid) ? uuid : request.id;
}
