import { createHmac } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { Event } from "../../../shared/event.ts";
import { canonicalUuid } from "../../../shared/uuid.ts";
import type { WireRequest } from "./posthog-requests.ts";
import { HOOK_SECRET, HOOKS } from "./seed-requests.ts";

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const CHARACTERS = 200;
const FUTURE_MS = 23 * 3_600_000;
/** Far more than a request of a test unpacks to. */
const UNPACKED_BYTES = 50_000_000;
const SOURCES = ["posthog", "segment", "pixel", "open", "keyed", "signed"];

/** What breaks the contract of every event that is accepted; empty where nothing does. */
export function faultsOf(event: Event, nowMs: number): string[] {
  const { uuid, event: name, distinct_id: user, timestamp, properties, source } = event;
  const checks: Record<string, boolean> = {
    "uuid is none": canonicalUuid(uuid) !== uuid,
    "name is empty": name === "",
    "distinct_id is blank": user.trim() === "",
    "distinct_id is too long": [...user].length > CHARACTERS,
    "timestamp is none": !TIMESTAMP.test(timestamp) || Number.isNaN(Date.parse(timestamp)),
    "timestamp is too far in the future": Date.parse(timestamp) - nowMs > FUTURE_MS,
    "properties are no object": Object.prototype.toString.call(properties) !== "[object Object]",
    "cookieless mode is no flag": source === "posthog" && typeof (properties.$cookieless_mode ?? true) !== "boolean",
    "source is unknown": !SOURCES.includes(source),
    "a webhook has another name": source in HOOKS && name !== "webhook",
    "a secret is kept": JSON.stringify(properties).includes(HOOK_SECRET),
  };
  return Object.keys(checks).filter((check) => checks[check]);
}

/** Whether the contract refuses all of the request whatever else is in it: said without asking the code that decides it. */
export function mustBeRefused({ path, headers, body }: WireRequest): boolean {
  if (path.startsWith(`/w/${HOOKS.signed}`)) {
    return headers["x-hub-signature-256"] !== `sha256=${createHmac("sha256", HOOK_SECRET).update(body).digest("hex")}`;
  }
  if (path.startsWith(`/w/${HOOKS.keyed}`)) return headers["x-key"] !== HOOK_SECRET;
  if (path.startsWith("/v1/")) return isBroken(headers, body);
  return false;
}

/** Segment's paths take JSON objects, plain or in gzip, and nothing else. */
function isBroken(headers: Record<string, string>, body: Uint8Array): boolean {
  try {
    const isGzip = headers["content-encoding"] === "gzip" || (body[0] === 0x1f && body[1] === 0x8b && body[2] === 0x08);
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(
      isGzip ? gunzipSync(body, { maxOutputLength: UNPACKED_BYTES }) : body,
    );
    const value: unknown = JSON.parse(text);
    return typeof value !== "object" || value === null || Array.isArray(value);
  } catch {
    return true;
  }
}
