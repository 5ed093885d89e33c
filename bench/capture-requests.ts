import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import lzString from "lz-string";
import { pageEvents, STRIPE_EVENT, segmentMessages, UUID } from "./sdk-events.ts";

/** How the JSON of a request is wrapped, so that a baseline can unwrap it with nothing else around. */
export type Wrapping = "json" | "gzip" | "deflate" | "br" | "zstd" | "base64 in a form" | "lz64 in a form" | "query";

/** A request as clients send it to capture. */
export interface CaptureRequest {
  protocol: "posthog-v0" | "posthog-v1" | "segment" | "pixel" | "webhook";
  wrapping: Wrapping;
  /** What tells it from others of its protocol and wrapping; empty where nothing does. */
  form: string;
  method: "GET" | "POST";
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  events: number;
}

export const TOKEN = "phc_bench";
/** Of the source that takes webhooks. */
export const WEBHOOK_TOKEN = "whk_bench";

const JSON_TYPE = { "content-type": "application/json" };
const SENT_AT = "2026-11-23T03:22:14.934Z";

const PACKERS = {
  json: (json: string) => Buffer.from(json),
  gzip: (json: string) => gzipSync(json),
  deflate: (json: string) => deflateSync(json),
  br: (json: string) => brotliCompressSync(json),
  zstd: (json: string) => zstdCompressSync(json),
} as const;

/** PostHog's v0: what posthog-js sends. */
export function posthogV0(events: number): CaptureRequest[] {
  const json = JSON.stringify({ api_key: TOKEN, batch: pageEvents(events), sent_at: SENT_AT });
  const base64 = encodeURIComponent(Buffer.from(json).toString("base64"));
  const lz64 = encodeURIComponent(lzString.compressToBase64(json));
  const request = { protocol: "posthog-v0", method: "POST", form: "", path: "/batch/", events } as const;
  const form = { "content-type": "application/x-www-form-urlencoded" };
  return [
    { ...request, wrapping: "json", headers: JSON_TYPE, body: PACKERS.json(json) },
    {
      ...{ ...request, wrapping: "gzip", headers: { ...JSON_TYPE, "content-encoding": "gzip" } },
      body: PACKERS.gzip(json),
    },
    {
      ...{ ...request, form: "gzip-js", path: "/e/?compression=gzip-js", wrapping: "gzip" },
      ...{ headers: { "content-type": "text/plain" }, body: PACKERS.gzip(json) },
    },
    {
      ...{ ...request, path: "/e/?compression=base64", wrapping: "base64 in a form", headers: form },
      body: Buffer.from(`data=${base64}`),
    },
    {
      ...{ ...request, path: "/e/?compression=lz64", wrapping: "lz64 in a form", headers: form },
      body: Buffer.from(`data=${lz64}`),
    },
  ];
}

/** PostHog's v1: the same events as its newer SDKs send them. */
export function posthogV1(events: number): CaptureRequest[] {
  const batch = pageEvents(events).map(({ offset: _offset, timestamp, ...event }) => ({
    ...{ ...event, timestamp: timestamp ?? SENT_AT, options: {} },
  }));
  const json = JSON.stringify({ created_at: SENT_AT, batch });
  const headers = {
    ...JSON_TYPE,
    authorization: `Bearer ${TOKEN}`,
    "user-agent": "posthog-node/5.70.0",
    "posthog-sdk-info": "posthog-node/5.70.0",
    "posthog-attempt": "1",
    "posthog-request-id": "0190b0f0-2222-7000-8000-000000000002",
    "posthog-request-timestamp": SENT_AT,
  };
  return (["json", "gzip", "deflate", "br", "zstd"] as const).map((wrapping) => ({
    ...({
      protocol: "posthog-v1",
      method: "POST",
      form: "",
      path: "/i/v1/analytics/events",
      wrapping,
      events,
    } as const),
    headers: wrapping === "json" ? headers : { ...headers, "content-encoding": wrapping },
    body: PACKERS[wrapping](json),
  }));
}

const BASIC = `Basic ${Buffer.from(`${TOKEN}:`).toString("base64")}`;

/** Segment's batches: what @segment/analytics-node sends. */
export function segmentBatch(events: number): CaptureRequest[] {
  const json = JSON.stringify({ batch: segmentMessages(events), writeKey: TOKEN, sentAt: SENT_AT });
  return (["json", "gzip"] as const).map((wrapping) => ({
    ...({ protocol: "segment", method: "POST", form: "", path: "/v1/batch", wrapping, events } as const),
    headers: {
      ...{ ...JSON_TYPE, authorization: BASIC },
      ...(wrapping === "json" ? {} : { "content-encoding": wrapping }),
    },
    body: PACKERS[wrapping](json),
  }));
}

/** A single message of Segment's. */
export function segmentTrack(): CaptureRequest {
  const [message] = segmentMessages(1);
  return {
    ...{ protocol: "segment", method: "POST", form: "track", path: "/v1/track", wrapping: "json", events: 1 },
    headers: { ...JSON_TYPE, authorization: BASIC },
    body: Buffer.from(JSON.stringify({ ...message, sentAt: SENT_AT })),
  };
}

export function pixelRequest(): CaptureRequest {
  const properties = encodeURIComponent(JSON.stringify({ campaign: "spring", list: [1, 2, 3], newsletter: true }));
  const query = `event=newsletter+opened&distinct_id=user-7&uuid=${UUID}&properties=${properties}&mail=4711`;
  return {
    ...{ protocol: "pixel", method: "GET", form: "", path: `/p/${TOKEN}.gif?${query}`, wrapping: "query", events: 1 },
    headers: { "user-agent": "Mozilla/5.0 (X11; Linux x86_64)", referer: "https://mail.example.com/" },
    body: Buffer.alloc(0),
  };
}

/** What a payment service sends. */
export function webhookRequest(): CaptureRequest {
  return {
    ...{ protocol: "webhook", method: "POST", form: "", path: `/w/${WEBHOOK_TOKEN}`, wrapping: "json", events: 1 },
    headers: { ...JSON_TYPE, "user-agent": "Hookshot/044aadd", "webhook-id": UUID },
    body: Buffer.from(JSON.stringify(STRIPE_EVENT)),
  };
}

/** As the load generator sends it. */
export function wireBytes(url: string, { method, path, headers, body }: CaptureRequest): Buffer {
  const lines = Object.entries({ host: new URL(url).host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = method === "GET" ? "" : `content-length: ${body.length}\r\n`;
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}${length}\r\n`), body]);
}
