import type { ShapedEvent } from "../../../shared/sandbox-api.ts";
import { bodyText, withoutRequest } from "../shaped-event.ts";
import { HEADER_NAME, HEADER_VALUE } from "./header-rules.ts";
import type { WebhookRequest } from "./webhook.ts";
import type { WebhookSettings } from "./webhook-settings.ts";

/**
 * A request that the destination's script shaped. What it left out is as the settings have it. The script cannot set what ties the
 * request to Headwater or to HTTP, nor its authorization: that is a secret of the settings, and would lie in the queue in the clear.
 * It goes to the settings' origin only.
 */
const RESERVED = /^(webhook-(id|timestamp|signature)|content-(length|encoding)|host|connection|transfer-encoding)$/;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const JSON_TYPE = "application/json";
/** What a text is that the script has not named the type of. */
const TEXT_TYPE = "text/plain;charset=utf-8";

const encoder = new TextEncoder();

/** `problem`: what is wrong with it, for the script's author. Never a value: it may hold a secret. */
export function shapedWebhook(
  shaped: ShapedEvent,
  config: WebhookSettings,
  requestId: string,
): WebhookRequest | { problem: string } {
  const url = shaped.$request.url ?? config.url;
  const problem = urlProblem(url);
  if (problem !== null) return { problem: `the destination's script gave a url that ${problem}` };
  const headers = mergedHeaders(config.headers, shaped.$request.headers ?? {});
  if (typeof headers === "string") return { problem: `the destination's script gave ${headers}` };
  const body = bodyText(shaped);
  headers["content-type"] ??= typeof shaped.$request.body === "string" ? TEXT_TYPE : JSON_TYPE;
  if (config.authorization !== undefined && new URL(url).origin === new URL(config.url).origin) {
    headers.authorization = config.authorization;
  }
  return {
    id: UUID.test(shaped.uuid) ? shaped.uuid : requestId,
    ...{ url, headers },
    body: encoder.encode(body ?? JSON.stringify(withoutRequest(shaped))),
  };
}

function urlProblem(text: unknown): string | null {
  if (typeof text !== "string" || !URL.canParse(text)) return "is not a URL";
  const { protocol, username, password } = new URL(text);
  if (protocol !== "https:" && protocol !== "http:") return "is neither http nor https";
  return username === "" && password === "" ? null : "holds a user name or password";
}

/** The script's over the settings', by name in lower case; a text says what is wrong with the script's. */
function mergedHeaders(settings: Record<string, string>, own: unknown): Record<string, string> | string {
  const merged: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(settings)) merged[name.toLowerCase()] = value;
  if (typeof own !== "object" || own === null || Array.isArray(own)) return "headers that are not an object";
  for (const [name, value] of Object.entries(own)) {
    const key = name.toLowerCase();
    const quoted = JSON.stringify(name);
    if (!HEADER_NAME.test(name)) return `the header ${quoted}, which is no name of a header`;
    if (RESERVED.test(key)) return `the header ${quoted}, which Headwater sets itself`;
    if (key === "authorization") return `the header ${quoted}: set the destination's authorization instead`;
    if (typeof value !== "string" || !HEADER_VALUE.test(value)) {
      return `the header ${quoted} with a value that is not printable ASCII text`;
    }
    merged[key] = value;
  }
  return merged;
}
