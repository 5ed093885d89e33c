import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import lzString from "lz-string";
import { PostHog } from "posthog-node";

/** A request as an SDK sends it, before its body is wrapped. */
export interface SdkRequest {
  path: string;
  headers: Record<string, string>;
  /** JSON. */
  body: string;
}

/** A request on the wire. */
export interface WireRequest {
  path: string;
  headers: Record<string, string>;
  body: Uint8Array;
}

const V1_PATH = "/i/v1/analytics/events";

/** What posthog-node sends for a visitor who does a bit of everything, in one of its two modes. */
export async function nodeRequests(mode: "v0" | "v1"): Promise<SdkRequest[]> {
  const requests: SdkRequest[] = [];
  const before = process.env.POSTHOG_CAPTURE_MODE;
  process.env.POSTHOG_CAPTURE_MODE = mode;
  const client = new PostHog("phc_acme", {
    host: "http://capture.test",
    disableCompression: true,
    fetch: async (url, { headers, body }) => {
      requests.push({
        path: new URL(url).pathname,
        headers: Object.fromEntries(new Headers(headers)),
        body: String(body),
      });
      const text = mode === "v1" ? '{"results":{}}' : '{"status":"Ok"}';
      return {
        status: 200,
        text: async () => text,
        json: async () => JSON.parse(text) as unknown,
        headers: new Headers(),
      };
    },
  });
  process.env.POSTHOG_CAPTURE_MODE = before;
  client.identify({ distinctId: "user-1", properties: { email: "ada@example.com", $set_once: { first: "/" } } });
  client.alias({ distinctId: "user-1", alias: "visitor-1" });
  client.groupIdentify({ groupType: "company", groupKey: "acme", properties: { seats: 5 } });
  client.capture({
    distinctId: "user-1",
    event: "bought ☕",
    groups: { company: "acme" },
    timestamp: new Date("2026-08-01T11:00:00Z"),
    properties: {
      price: 3.5,
      list: [1, { a: null }],
      "🙂": "👩‍🚀",
      $session_id: "s-1",
      $process_person_profile: false,
    },
  });
  await client.shutdown();
  return requests;
}

/** What browsers send, as posthog-js of today and of years ago writes it. */
export function browserRequests(): SdkRequest[] {
  const event = (name: string, properties = {}) => ({
    uuid: "0190b0f0-0000-7000-8000-000000000001",
    event: name,
    properties: { token: "phc_acme", distinct_id: "0190b0f0-1111-7000-8000-000000000001", $lib: "web", ...properties },
    offset: 1_204,
  });
  const pageleave = {
    $current_url: "https://a.example/b",
    $prev_pageview_pathname: "/a",
    $heatmap_data: { "/": [{ x: 1 }] },
  };
  const batch = [event("$pageview", { $session_id: "s-1" }), event("$pageleave", pageleave)];
  const snapshots = [
    event("$snapshot", { $session_id: "s-1", $window_id: "w", $snapshot_data: [{ type: 3, data: {} }] }),
  ];
  const json = { "content-type": "text/plain" };
  return [
    {
      path: "/e/?_=1785585600000&ver=1.418.10",
      headers: json,
      body: JSON.stringify({ api_key: "phc_acme", batch, sent_at: "2026-08-01T12:00:00Z" }),
    },
    { path: "/i/v0/e/?beacon=1", headers: json, body: JSON.stringify(batch) },
    {
      path: "/engage/",
      headers: json,
      body: JSON.stringify({ $token: "phc_acme", $distinct_id: "user-1", $set: { a: 1 } }),
    },
    { path: "/s/", headers: json, body: JSON.stringify(snapshots) },
  ];
}

/** The request in every way in which its endpoint can be sent it. */
export function wired({ path, headers, body }: SdkRequest): WireRequest[] {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const base64 = Buffer.from(body).toString("base64");
  const with_ = (name: string, value: string) => ({ ...headers, [name]: value });
  if (path.startsWith(V1_PATH)) {
    const packed = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };
    const all = Object.entries(packed).map(([name, pack]) => ({
      path,
      headers: with_("content-encoding", name),
      body: Uint8Array.from(pack(body)),
    }));
    return [{ path, headers, body: bytes(body) }, ...all];
  }
  const form = with_("content-type", "application/x-www-form-urlencoded");
  const query = (text: string) => `${path}${path.includes("?") ? "&" : "?"}${text}`;
  return [
    { path, headers, body: bytes(body) },
    { path, headers, body: Uint8Array.from(gzipSync(body)) },
    { path: query("compression=gzip-js"), headers, body: Uint8Array.from(gzipSync(body)) },
    { path, headers, body: bytes(base64) },
    { path: query("compression=base64"), headers: form, body: bytes(`data=${encodeURIComponent(base64)}`) },
    { path: query("compression=lz64"), headers: form, body: bytes(`data=${lzString.compressToBase64(body)}`) },
    { path: query(`data=${encodeURIComponent(base64)}`), headers, body: new Uint8Array() },
  ];
}
