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
}

/**
 * The headers of a request: one signature of each secret, apart by spaces, so that a receiver with any one of them can verify it; none
 * without a secret. `now` in milliseconds; the header carries seconds.
 */
export async function sign(
  secrets: readonly string[],
  id: string,
  now: number,
  body: Uint8Array,
): Promise<SignatureHeaders> {
  const timestamp = String(Math.floor(now / 1_000));
  const stamp = { "webhook-id": id, "webhook-timestamp": timestamp };
  if (secrets.length === 0) return stamp;
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const content = new Uint8Array(head.length + body.length);
  content.set(head);
  content.set(body, head.length);
  const macs = await Promise.all(
    secrets.map(async (secret) => crypto.subtle.sign("HMAC", await importedKey(secret), content)),
  );
  const signatures = macs.map((mac) => `${VERSION},${toBase64(new Uint8Array(mac))}`);
  return { ...stamp, "webhook-signature": signatures.join(" ") };
}

function signingKey(secret: string): Uint8Array<ArrayBuffer> {
  if (secret.startsWith(PREFIX)) return fromBase64(secret.slice(PREFIX.length));
  return new TextEncoder().encode(secret) as Uint8Array<ArrayBuffer>;
}

/** Keys that were imported, by secret: every outbox signs everything with the same few. */
const keys = new Map<string, Promise<CryptoKey>>();
/** Many times what one process has in use; beyond it the oldest goes. */
const KEYS_MAX_COUNT = 256;

function importedKey(secret: string): Promise<CryptoKey> {
  let key = keys.get(secret);
  if (key === undefined) {
    const [oldest] = keys.keys();
    if (keys.size >= KEYS_MAX_COUNT && oldest !== undefined) keys.delete(oldest);
    key = crypto.subtle.importKey("raw", signingKey(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    keys.set(secret, key);
  }
  return key;
}
