import { fromBase64, toBase64 } from "../base64.ts";

/**
 * Standard Webhooks signatures: HMAC-SHA256 over `id.timestamp.body`, base64, with the version in front.
 * A secret that starts with "whsec_" is the base64 of its key; any other text is the key as it stands.
 */
const PREFIX = "whsec_";
const VERSION = "v1";
/** What the specification recommends; shorter keys can be guessed, longer ones gain nothing. */
const MIN_KEY_BYTES = 24;
const MAX_KEY_BYTES = 64;

/** What is wrong with a secret, for the one who set it; null where nothing is. */
export function signingSecretProblem(secret: string): string | null {
  if (secret.length === 0) return "must not be empty";
  if (!secret.startsWith(PREFIX)) return null;
  try {
    const { length } = signingKey(secret);
    if (length >= MIN_KEY_BYTES && length <= MAX_KEY_BYTES) return null;
    return `must be ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} bytes of base64 after "${PREFIX}"`;
  } catch {
    return `must be base64 after "${PREFIX}"`;
  }
}

export interface SignatureHeaders extends Record<string, string> {
  "webhook-id": string;
  "webhook-timestamp": string;
  "webhook-signature": string;
}

/** `now` in milliseconds; the header carries seconds. */
export async function sign(secret: string, id: string, now: number, body: Uint8Array): Promise<SignatureHeaders> {
  const timestamp = String(Math.floor(now / 1_000));
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const content = new Uint8Array(head.length + body.length);
  content.set(head);
  content.set(body, head.length);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", await importedKey(secret), content));
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `${VERSION},${toBase64(mac)}` };
}

function signingKey(secret: string): Uint8Array<ArrayBuffer> {
  if (secret.startsWith(PREFIX)) return fromBase64(secret.slice(PREFIX.length));
  return new TextEncoder().encode(secret) as Uint8Array<ArrayBuffer>;
}

/** The last key imported: an outbox signs everything with the same one. */
let last: { secret: string; key: Promise<CryptoKey> } | null = null;

function importedKey(secret: string): Promise<CryptoKey> {
  if (last?.secret !== secret) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    last = { secret, key: crypto.subtle.importKey("raw", signingKey(secret), algorithm, false, ["sign"]) };
  }
  return last.key;
}
