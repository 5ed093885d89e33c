import type { Event } from "../../../shared/event.ts";
import type { ShapedEvent } from "../../../shared/sandbox-api.ts";

/** As capture has it. */
const DISTINCT_ID_MAX_CHARS = 200;
/** A row of an outbox holds 1 MB. */
const OUTPUT_MAX_CHARS = 900_000;

/** What is wrong with a script's output: the text is for the script's author. */
export class OutputError extends Error {}

const { parse: parseDate } = Date;
const { isFinite: isDate } = Number;
const { isArray } = Array;
const { stringify } = JSON;

/** What a script may not change, and what is asked for afterwards, as it stood before it ran. */
export interface Identity {
  uuid: string;
  event: string;
  distinct_id: string;
  timestamp: string;
  received_at: string;
  source: string;
}

export function identityOf({ uuid, event, distinct_id, timestamp, received_at, source }: Event): Identity {
  return { uuid, event, distinct_id, timestamp, received_at, source };
}

/**
 * Makes a script's output an event again: checks what later stages rely on, puts the identity back, fills in what a newly
 * built object lacks. A missing `ip` stays away: that is how a script removes it. Throws OutputError, or what getters throw.
 */
export function asEvent(output: unknown, identity: Identity): Event {
  if (output === null || typeof output !== "object" || isArray(output)) {
    throw new OutputError(`returned ${nameOf(output)}: return an event, an array of events, or null to drop the event`);
  }
  const event = output as Event;
  if (typeof event.event !== "string" || event.event === "") throw fieldError("event", "a text that is not empty");
  const { distinct_id: distinctId } = event;
  if (typeof distinctId !== "string" || distinctId === "" || distinctId.length > DISTINCT_ID_MAX_CHARS) {
    throw fieldError("distinct_id", `a text of 1 to ${DISTINCT_ID_MAX_CHARS} characters`);
  }
  if (!isRecord(event.properties)) throw fieldError("properties", "an object");
  if (event.$set !== undefined && !isRecord(event.$set)) throw fieldError("$set", "an object");
  if (event.$set_once !== undefined && !isRecord(event.$set_once)) throw fieldError("$set_once", "an object");
  if (event.timestamp !== identity.timestamp) event.timestamp = checkedTimestamp(event.timestamp, identity);
  if (event.ip === undefined) event.ip = null;
  else if (event.ip !== null && typeof event.ip !== "string") throw fieldError("ip", "a text or null");
  if (event.uuid !== identity.uuid) event.uuid = identity.uuid;
  if (event.received_at !== identity.received_at) event.received_at = identity.received_at;
  if (typeof event.source !== "string") event.source = identity.source;
  // Deliver takes what stands there for checked.
  if ("$request" in event) {
    throw new OutputError(
      'returned an event with "$request": a destination\'s script shapes a request by returning no event',
    );
  }
  return event;
}

/** The event as a line. `before` is its length before the script ran: only what grew can be too long. */
export function asLine(event: Event | ShapedEvent, before: number): string {
  const line: unknown = stringify(event);
  // A toJSON of the script's may have made anything of it.
  if (typeof line !== "string" || line[0] !== "{")
    throw new OutputError("returned an event whose toJSON gives no object");
  if (line.length > OUTPUT_MAX_CHARS && line.length > before) {
    throw new OutputError(`returned an event of ${line.length} characters: at most ${OUTPUT_MAX_CHARS} are possible`);
  }
  return line;
}

function checkedTimestamp(timestamp: unknown, identity: Identity): string {
  if (timestamp === undefined) return identity.timestamp;
  if (typeof timestamp !== "string" || !isDate(parseDate(timestamp))) {
    throw fieldError("timestamp", "an ISO 8601 text, such as new Date().toISOString()");
  }
  return timestamp;
}

export function isRecord(value: unknown): boolean {
  return value !== null && typeof value === "object" && !isArray(value);
}

function fieldError(field: string, expected: string): OutputError {
  return new OutputError(`returned an event whose "${field}" is not ${expected}`);
}

function nameOf(value: unknown): string {
  if (isArray(value)) return "an array inside an array";
  return `a ${typeof value}`;
}
