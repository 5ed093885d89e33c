import type { AppError } from "../../../shared/errors.ts";
import type { Event } from "../../../shared/event.ts";
import { formatTimestamp } from "../../../shared/timestamp.ts";
import { canonicalUuid } from "../../../shared/uuid.ts";
import { parseJson } from "../decode/json.ts";
import { EmptyEventNameError, MissingDistinctIdError, ParseError } from "../errors.ts";
import { distinctIdText } from "./distinct-id.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import { pathSegment } from "./path-segment.ts";
import { eventTimestamp } from "./posthog-time.ts";
import { checkedToken } from "./posthog-token.ts";
import { type CaptureContext, type Protocol, queryValue } from "./protocol.ts";

/** One transparent pixel. */
const GIF = Uint8Array.from(atob("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="), (character) =>
  character.charCodeAt(0),
);
const EXTENSION = ".gif";
/** Parameters with a meaning of their own; every other one is a property. */
const PARAMETERS = new Set(["event", "distinct_id", "uuid", "timestamp", "properties"]);

/**
 * One event in the address of an image, for e-mails and pages without scripts. Every answer is the image: what an error says is in
 * the header X-Error, because nobody reads the body of an image.
 */
export const pixel: Protocol = {
  name: "pixel",
  kind: "pixel",
  routes: [{ method: "GET", path: "/p/:file" }],

  async decode(request, context) {
    return { token: tokenOf(context), events: [eventOf(request, context)] };
  },

  success() {
    return image(200, {});
  },

  failure(error: AppError) {
    const headers: Record<string, string> = { "x-error": printable(error.message) };
    if (error.retryAfterS !== undefined) headers["retry-after"] = String(error.retryAfterS);
    return image(error.status, headers);
  },
};

function image(status: number, headers: Record<string, string>): Response {
  return new Response(GIF, {
    status,
    headers: { "content-type": "image/gif", "cache-control": "no-store", ...headers },
  });
}

/** Messages may repeat what the client wrote, and a header takes printable ASCII only. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}

function tokenOf({ params }: CaptureContext): string {
  const file = pathSegment(params.file);
  if (!file.endsWith(EXTENSION)) throw new ParseError(`the path must end in ${EXTENSION}`);
  return checkedToken(file.slice(0, -EXTENSION.length));
}

function eventOf(request: Request, context: CaptureContext): Event {
  const { query } = context;
  const name = queryValue(query, "event") ?? "";
  if (name === "") throw new EmptyEventNameError("event");
  const distinctId = distinctIdText(queryValue(query, "distinct_id"), context.limits.nestingLevels);
  if (distinctId === "") throw new MissingDistinctIdError("distinct_id");
  const event: Event = {
    uuid: uuidOf(context),
    event: name,
    distinct_id: distinctId,
    timestamp: timestampOf(context),
    properties: propertiesOf(request, context),
    ip: context.client.ip,
    received_at: formatTimestamp(context.nowMs),
    source: pixel.name,
  };
  return event;
}

function uuidOf({ query, mintUuid }: CaptureContext): string {
  const given = queryValue(query, "uuid") ?? "";
  const uuid = given === "" ? mintUuid() : canonicalUuid(given);
  if (uuid === null) throw new ParseError("uuid is not a UUID", "uuid");
  return uuid;
}

/** An image is asked for when it is shown: no sending time, no correction. */
function timestampOf({ query, nowMs }: CaptureContext): string {
  const timestamp = queryValue(query, "timestamp");
  return eventTimestamp({ timestamp, offsetMs: undefined, sentAtMs: null }, nowMs);
}

/** The JSON in `properties` goes before a parameter of the same name, and both before what the headers say. */
function propertiesOf(request: Request, { query, limits }: CaptureContext): JsonObject {
  const json = queryValue(query, "properties") ?? "";
  const given: unknown = json === "" ? {} : parseJson(json, limits);
  if (!isObject(given)) throw new ParseError("properties must be an object", "properties");
  const parameters = Object.entries(query).filter(([name, value]) => !PARAMETERS.has(name) && value !== undefined);
  return { ...headerProperties(request.headers), ...Object.fromEntries(parameters), ...given };
}

function headerProperties(headers: Headers): JsonObject {
  const [page, agent] = [headers.get("referer"), headers.get("user-agent")];
  return {
    ...(page === null ? {} : { $current_url: page }),
    ...(agent === null ? {} : { $raw_user_agent: agent }),
  };
}
