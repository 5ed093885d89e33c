import { textToBase64 } from "../base64.ts";
import { shapedEvent } from "../shaped-event.ts";
import type { DestinationKind, OutboundRequest, Outcome, SendDeps, Sent } from "./destination.ts";
import { failure, noAnswer, readStart } from "./http-answer.ts";
import { bodyOf, CONTENT_TYPES, gzip } from "./webhook-body.ts";
import { formatOf, signingSecretsOf, type WebhookSettings, webhookSettings } from "./webhook-settings.ts";
import { shapedWebhook } from "./webhook-shaped.ts";
import { sign } from "./webhook-signature.ts";
import { isPerEvent, renderHeader, renderUrl, type TemplateValues } from "./webhook-template.ts";

export const webhook: DestinationKind<WebhookSettings> = {
  kind: "webhook",
  settings: webhookSettings,
  secrets: ["signing_secret", "signing_secrets.*", "authorization", "auth.password", "auth.token"],
  ordered: ({ ordered }) => (ordered ? "user" : false),
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

/** What goes over the wire, less what is signed, timed and compressed. */
export interface WebhookRequest {
  /** The `webhook-id`. */
  id: string;
  url: string;
  headers: Record<string, string>;
  body: Uint8Array;
}

async function send(request: OutboundRequest, config: WebhookSettings, deps: SendDeps): Promise<Sent> {
  const shaped = request.shaped === true && request.count === 1 ? shapedEvent(decoder.decode(request.events)) : null;
  const rendered = renderedSettings(request, config);
  if ("problem" in rendered) return { outcomes: { result: "dead", reason: rendered.problem } };
  if (shaped === null) return { outcomes: await post(plainRequest(request, rendered), config, deps) };
  const made = shapedWebhook(shaped, rendered, request.id);
  if ("problem" in made) return { outcomes: { result: "dead", reason: made.problem } };
  const outcome = await post(made, config, deps);
  // The script's own address is gone, which says nothing of the destination's.
  if (outcome.result === "disable" && shaped.$request.url !== undefined)
    return { outcomes: { ...outcome, result: "dead" } };
  return { outcomes: outcome };
}

const decoder = new TextDecoder();

/** The settings with this request's values in the place of names in braces, and `authorization` made of `auth`. */
function renderedSettings(request: OutboundRequest, config: WebhookSettings): WebhookSettings | { problem: string } {
  const authorization = authorizationOf(config);
  const values = templateValues(request, config);
  const url = renderUrl(config.url, values);
  if (url === null) return { problem: "the event's values would lead the url to another path: it was sent to nobody" };
  const headers = Object.fromEntries(
    Object.entries(config.headers).map(([name, value]) => [name, renderHeader(value, values)]),
  );
  return { ...config, url, headers, authorization };
}

/** Those of the request's one event are read only where a template asks for them. */
function templateValues(request: OutboundRequest, config: WebhookSettings): TemplateValues {
  const given = { team: request.team, token: request.tokens[0] ?? "", event: "", distinct_id: "", uuid: "" };
  if (![config.url, ...Object.values(config.headers)].some(isPerEvent)) return given;
  const event = JSON.parse(decoder.decode(request.events)) as Record<string, unknown> | null;
  const text = (name: string) => (typeof event?.[name] === "string" ? event[name] : "");
  return { ...given, event: text("event"), distinct_id: text("distinct_id"), uuid: text("uuid") };
}

function authorizationOf({ auth, authorization }: WebhookSettings): string | undefined {
  if (auth === undefined) return authorization;
  return auth.type === "bearer" ? `Bearer ${auth.token}` : `Basic ${textToBase64(`${auth.username}:${auth.password}`)}`;
}

function plainRequest(request: OutboundRequest, config: WebhookSettings): WebhookRequest {
  const format = formatOf(config);
  const headers: Record<string, string> = { ...config.headers, "content-type": CONTENT_TYPES[format] };
  if (config.authorization !== undefined) headers.authorization = config.authorization;
  return {
    id: config.batch.max_events === 1 ? eventUuid(request) : request.id,
    url: config.url,
    headers,
    body: bodyOf(format, request.events),
  };
}

async function post(request: WebhookRequest, config: WebhookSettings, deps: SendDeps): Promise<Outcome> {
  const { host } = new URL(request.url);
  const now = deps.clock.now();
  const { id, body } = request;
  const isGzip = config.compression === "gzip";
  // Over the text: a receiver whose server unpacks requests sees nothing else, and any other one can unpack it.
  const signed = await sign(signingSecretsOf(config), id, now, body);
  try {
    const response = await deps.fetch(request.url, {
      method: config.method,
      headers: { ...request.headers, ...signed, ...(isGzip ? { "content-encoding": "gzip" } : {}) },
      body: (isGzip ? await gzip(body) : body) as Uint8Array<ArrayBuffer>,
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
