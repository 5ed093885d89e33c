/**
 * Measures inside one workerd, whose decompression is not Node's: what capture does with a request before the append, and the least
 * that can be done with it. Both get the same request and read its body. The clock of a worker stands still while it computes, so
 * the time is taken by whoever asks.
 *
 * `PUT /` (JSON: DecodeSetup) first; `POST /bare?rounds=N`, `/decode` and `/encode` then take the request N times.
 */
import { Buffer } from "node:buffer";
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from "node:zlib";
import lzString from "lz-string";
import type { Event } from "../shared/event.ts";
import { UuidV7 } from "../shared/uuid.ts";
import { DEFAULT_LIMITS } from "../workers/capture/decode/limits.ts";
import { encodeEvents } from "../workers/capture/encode.ts";
import { placeEvents } from "../workers/capture/geoip/event-place.ts";
import type { CaptureContext, Protocol } from "../workers/capture/protocols/protocol.ts";
import { PROTOCOLS } from "../workers/capture/protocols/registry.ts";
import type { Resolution } from "../workers/capture/resolution.ts";
import { applyRules } from "../workers/capture/rules.ts";
import type { CaptureRequest, Wrapping } from "./capture-requests.ts";

/** One request, to be taken again and again. */
export interface DecodeSetup extends Omit<CaptureRequest, "body"> {
  /** Base64. */
  body: string;
}

interface Prepared {
  url: string;
  init: RequestInit & { method: string };
  wrapping: Wrapping;
  events: number;
  protocol: Protocol;
  context: CaptureContext;
}

const TEAM: Resolution = { team: "bench", lanes: 1 };
/** Webhooks have no token of a team's own. */
const WITH_SOURCE: Resolution = {
  ...TEAM,
  source: { id: "hooks", tokens: [], enabled: true, protocol: "webhook", ip: "keep" },
};

const utf8 = new TextDecoder();
const MOST_BYTES = { maxOutputLength: 100_000_000 };

const fields = (text: string) => new URLSearchParams(text);
const bytesOf = (base64: string) => Buffer.from(base64, "base64");

/** The JSON text of a body, or of a query, with nothing checked. */
const UNWRAP: Record<Wrapping, (body: Uint8Array, url: string) => string> = {
  json: (body) => utf8.decode(body),
  gzip: (body) => utf8.decode(gunzipSync(body, MOST_BYTES)),
  deflate: (body) => utf8.decode(inflateSync(body, MOST_BYTES)),
  br: (body) => utf8.decode(brotliDecompressSync(body, MOST_BYTES)),
  zstd: (body) => utf8.decode(zstdDecompressSync(body, MOST_BYTES)),
  "base64 in a form": (body) => utf8.decode(bytesOf(fields(utf8.decode(body)).get("data") ?? "")),
  "lz64 in a form": (body) => lzString.decompressFromBase64(fields(utf8.decode(body)).get("data") ?? ""),
  query: (_body, url) => new URL(url).searchParams.get("properties") ?? "",
};

let prepared: Prepared | null = null;

function prepare({ protocol: name, method, path, headers, body, events, wrapping }: DecodeSetup): Prepared {
  const url = new URL(path, "http://capture.test");
  const route = url.pathname.replace(/\/$/, "").replace(/^\/(p|w)\/.*/, (_all, kind) => `/${kind}/:`);
  const protocol = PROTOCOLS.find(({ routes }) => routes.some((known) => known.path.startsWith(route)));
  if (protocol === undefined) throw new Error(`no protocol takes ${path}`);
  const bytes = bytesOf(body);
  // As every client that has its body at hand sends it.
  const length = { "content-length": String(bytes.length) };
  const init = method === "GET" ? { method, headers } : { method, headers: { ...headers, ...length }, body: bytes };
  return { url: url.href, init, wrapping, events, protocol, context: contextOf(name, url, route) };
}

function contextOf(name: CaptureRequest["protocol"], url: URL, route: string): CaptureContext {
  const [nowMs, uuids] = [Date.now(), new UuidV7((bytes) => crypto.getRandomValues(bytes))];
  const token = url.pathname.slice("/p/".length);
  return {
    ...{ nowMs, route, limits: DEFAULT_LIMITS, minted: new Set(), mintUuid: () => uuids.next(nowMs) },
    ...{ params: { file: token, token }, query: Object.fromEntries(url.searchParams) },
    client: { ip: "203.0.113.7", geo: undefined },
    resolution: name === "webhook" ? WITH_SOURCE : TEAM,
    openSecret: async () => "",
  };
}

async function bare({ url, init, wrapping }: Prepared): Promise<number> {
  const body = await new Request(url, init).arrayBuffer();
  return Object.keys(JSON.parse(UNWRAP[wrapping](new Uint8Array(body), url)) as object).length;
}

/** Decoded, checked, normalised, and through the team's rules. */
async function decode({ url, init, protocol, context, events: expected }: Prepared): Promise<Event[]> {
  const decoded = await protocol.decode(new Request(url, init), context);
  placeEvents(decoded.events, context.client, null);
  const { events } = applyRules(decoded.events, context.resolution ?? TEAM, decoded.token);
  if (events.length !== expected) throw new Error(`${events.length} events of ${expected}`);
  return events;
}

/** And written as the lane's lines. */
async function encode(request: Prepared): Promise<number> {
  return encodeEvents(await decode(request), request.context.limits).bytes.length;
}

const TAKES: Record<string, (request: Prepared) => Promise<number>> = {
  "/bare": bare,
  "/decode": async (request) => (await decode(request)).length,
  "/encode": encode,
};

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/health") return new Response("ok");
    if (request.method === "PUT") {
      prepared = prepare(await request.json<DecodeSetup>());
      return new Response(null, { status: 204 });
    }
    if (prepared === null) return new Response("PUT a request first", { status: 409 });
    const take = TAKES[pathname];
    if (take === undefined) return new Response("not found", { status: 404 });
    let sum = 0;
    for (let round = Number(searchParams.get("rounds")); round > 0; round--) sum += await take(prepared);
    return new Response(String(sum));
  },
} satisfies ExportedHandler;
