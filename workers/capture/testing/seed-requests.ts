import { createHmac } from "node:crypto";
import { gzipSync } from "node:zlib";
import { Analytics } from "@segment/analytics-node";
import { browserRequests, nodeRequests, type WireRequest, wired } from "./posthog-requests.ts";

export const TOKEN = "phc_acme";
/** Of webhook sources: one that takes whatever comes, one that takes what has the secret, one that takes what GitHub has signed. */
export const HOOKS = { open: "whk_open", keyed: "whk_keyed", signed: "whk_signed" };
export const HOOK_SECRET = "It's a Secret to Everybody";

/** Requests of real SDKs and services, one of each kind in each of its encodings, all of which are taken as they are. */
export async function seedRequests(): Promise<WireRequest[]> {
  const posthog = [...(await nodeRequests("v0")), ...(await nodeRequests("v1")), ...browserRequests()].flatMap(wired);
  return [...posthog, ...(await segmentRequests()), ...pixelRequests(), ...hookRequests()];
}

const bytes = (text: string) => new TextEncoder().encode(text);
const packed = (text: string) => Uint8Array.from(gzipSync(text));
const JSON_TYPE = { "content-type": "application/json" };

/** What analytics-node sends for a visitor who does a bit of everything, plain and packed, and by the older paths of one message. */
async function segmentRequests(): Promise<WireRequest[]> {
  const requests: WireRequest[] = [];
  const analytics = new Analytics({
    writeKey: TOKEN,
    host: "http://capture.test",
    httpClient: async (url, { headers, body }) => {
      const path = new URL(url).pathname;
      requests.push(
        { path, headers, body: bytes(body) },
        { path, headers: { ...headers, "content-encoding": "gzip" }, body: packed(body) },
      );
      return { status: 200, statusText: "OK" };
    },
  });
  const user = { userId: "user-1" };
  analytics.identify({ ...user, traits: { email: "ada@example.com" } });
  analytics.track({ ...user, event: "bought ☕", properties: { price: 3.5, list: [1, { a: null }], "🙂": "👩‍🚀" } });
  analytics.page({ anonymousId: "visitor-1", name: "Home", properties: { url: "https://a.example/b" } });
  analytics.screen({ ...user, name: "Main" });
  analytics.group({ ...user, groupId: "acme", traits: { seats: 5 } });
  analytics.alias({ ...user, previousId: "visitor-1" });
  await analytics.closeAndFlush();
  const authorization = `Basic ${Buffer.from(`${TOKEN}:`).toString("base64")}`;
  const message = { userId: "user-1", event: "one", messageId: "m-1", timestamp: "2026-08-01T11:00:00Z" };
  requests.push(
    { path: "/v1/track", headers: { ...JSON_TYPE, authorization }, body: bytes(JSON.stringify(message)) },
    { path: "/v1/t", headers: {}, body: bytes(JSON.stringify({ ...message, writeKey: TOKEN })) },
  );
  return requests;
}

function pixelRequests(): WireRequest[] {
  const query = "event=opened&distinct_id=user-1&campaign=a&campaign=b&timestamp=2026-08-01T11:00:00Z";
  const properties = encodeURIComponent('{"plan":"pro","__proto__":{"a":1}}');
  const headers = { referer: "https://a.example/b", "user-agent": "Mail/1" };
  return [`${query}&properties=${properties}`, query].map((text) => ({
    path: `/p/${TOKEN}.gif?${text}`,
    headers,
    body: new Uint8Array(),
  }));
}

function hookRequests(): WireRequest[] {
  const push = JSON.stringify({ ref: "refs/heads/main", user_id: 7, commits: [{ id: "c0ffee", message: "first ☕" }] });
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const multipart = { "content-type": "multipart/form-data; boundary=x" };
  const part = (field: string, value: string) => `--x\r\ncontent-disposition: form-data; ${field}\r\n\r\n${value}\r\n`;
  const parts = `${part('name="a"', "1")}${part('name="file"; filename="a.txt"', "abc")}--x--\r\n`;
  const signature = `sha256=${createHmac("sha256", HOOK_SECRET).update(push).digest("hex")}`;
  const github = { ...JSON_TYPE, "x-github-event": "push", "x-github-delivery": "72d3162e", "user-agent": "Hook/1" };
  const open = `/w/${HOOKS.open}?env=prod`;
  return [
    { path: open, headers: github, body: bytes(push) },
    { path: open, headers: { ...github, "content-encoding": "gzip" }, body: packed(push) },
    { path: open, headers: form, body: bytes("payload=%7B%7D&a=1&a=2") },
    { path: open, headers: multipart, body: bytes(parts) },
    { path: open, headers: { "content-type": "text/plain" }, body: bytes("hello ☕") },
    { path: `/w/${HOOKS.keyed}`, headers: { ...JSON_TYPE, "x-key": HOOK_SECRET }, body: bytes(push) },
    { path: `/w/${HOOKS.signed}`, headers: { ...github, "x-hub-signature-256": signature }, body: bytes(push) },
  ];
}
