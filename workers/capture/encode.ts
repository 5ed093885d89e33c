import type { Event } from "../../shared/event.ts";
import { encodeLines } from "../../shared/ndjson.ts";
import { parseUuid, UUID_BYTES } from "../../shared/uuid.ts";
import type { DecodeLimits } from "./decode/limits.ts";
import { nestsDeeperThan } from "./decode/nesting.ts";
import { NestingError, TooLargeError } from "./errors.ts";

/** Events as a lane stores them. */
export interface EncodedEvents {
  /** NDJSON, one event a line. */
  bytes: Uint8Array<ArrayBuffer>;
  /** 16 bytes an event, in the same order. */
  uuids: Uint8Array<ArrayBuffer>;
}

/** One UTF-16 unit takes at most this many bytes in UTF-8. */
const UTF8_BYTES_PER_UNIT = 3;

/**
 * The only place where an event becomes text, and so where its size and depth are known for nothing: throws TooLargeError (413) or
 * NestingError (400) for the first event over a limit.
 */
export function encodeEvents(events: readonly Event[], limits: DecodeLimits): EncodedEvents {
  const lines = new Array<string>(events.length);
  const uuids = new Uint8Array(events.length * UUID_BYTES);
  let tail = "";
  for (let i = 0; i < events.length; i++) {
    const event = events[i] as Event;
    if (!parseUuid(event.uuid, uuids, i * UUID_BYTES)) throw new Error("a normalised event has an invalid uuid");
    if (i === 0 || !sharesTail(event, events[i - 1] as Event)) tail = tailOf(event);
    const line = headOf(event, limits) + tail;
    if (nestsDeeperThan(line, limits.nestingLevels)) throw new NestingError(limits.nestingLevels);
    checkSize(line, event.uuid, limits);
    lines[i] = line;
  }
  return { bytes: encodeLines(lines), uuids };
}

/**
 * A line is what JSON.stringify makes of the event, put together from a head of its own and a tail that it shares with the events of
 * its request: a fifth less work for a batch. The uuid needs no escapes, having just been read.
 */
function headOf(event: Event, limits: DecodeLimits): string {
  try {
    const head = `{"uuid":"${event.uuid}","event":${JSON.stringify(event.event)},"distinct_id":${JSON.stringify(event.distinct_id)},"timestamp":${JSON.stringify(event.timestamp)},"properties":${JSON.stringify(event.properties)}`;
    const set = event.$set === undefined ? "" : `,"$set":${JSON.stringify(event.$set)}`;
    const setOnce = event.$set_once === undefined ? "" : `,"$set_once":${JSON.stringify(event.$set_once)}`;
    return head + set + setOnce + (event.heatmap_split === true ? ',"heatmap_split":true' : "");
  } catch (error) {
    // The only way in which plain data fails: it is deeper than the stack.
    if (error instanceof RangeError) throw new NestingError(limits.nestingLevels);
    throw error;
  }
}

/** What the fields after an event's own data amount to, with the closing brace. */
function tailOf({ ip, geo, received_at, sent_at, source, historical, quarantine }: Event): string {
  return `,${JSON.stringify({ ip, geo, received_at, sent_at, source, historical, quarantine }).slice(1)}`;
}

function sharesTail(a: Event, b: Event): boolean {
  return (
    a.ip === b.ip &&
    a.geo === b.geo &&
    a.received_at === b.received_at &&
    a.sent_at === b.sent_at &&
    a.source === b.source &&
    a.historical === b.historical &&
    a.quarantine === b.quarantine
  );
}

function checkSize(line: string, uuid: string, limits: DecodeLimits): void {
  if (line.length * UTF8_BYTES_PER_UNIT <= limits.eventBytes) return;
  const bytes = utf8Length(line);
  if (bytes <= limits.eventBytes) return;
  throw new TooLargeError(`event ${uuid} takes ${bytes} bytes of at most ${limits.eventBytes}`);
}

/** The text has no half surrogates: JSON.stringify escapes them. */
function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x80) continue;
    // Each half of a surrogate pair counts two, the pair four.
    bytes += code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}
