/** `headwater:hash`: digests at once, where the platform's own answer with promises. Text counts as UTF-8. */
import { type Digest, hmac } from "./parts/digest/blocks.ts";
import { md5Bytes } from "./parts/digest/md5.ts";
import { sha1Bytes } from "./parts/digest/sha1.ts";
import { sha256Bytes } from "./parts/digest/sha256.ts";

export type Data = string | Uint8Array;
export type Encoding = "hex" | "base64" | "base64url";

const encoder = new TextEncoder();
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** For anything but agreeing with a system that still asks for it, take sha256. */
export function md5(data: Data, encoding: Encoding = "hex"): string {
  return digested(md5Bytes, data, encoding);
}

/** For anything but agreeing with a system that still asks for it, take sha256. */
export function sha1(data: Data, encoding: Encoding = "hex"): string {
  return digested(sha1Bytes, data, encoding);
}

export function sha256(data: Data, encoding: Encoding = "hex"): string {
  return digested(sha256Bytes, data, encoding);
}

export function hmacMd5(key: Data, data: Data, encoding: Encoding = "hex"): string {
  return encoded(hmac(md5Bytes, asBytes(key), asBytes(data)), encoding);
}

export function hmacSha1(key: Data, data: Data, encoding: Encoding = "hex"): string {
  return encoded(hmac(sha1Bytes, asBytes(key), asBytes(data)), encoding);
}

/** What to hide personal data with: who does not know the key cannot try out addresses until one fits. */
export function hmacSha256(key: Data, data: Data, encoding: Encoding = "hex"): string {
  return encoded(hmac(sha256Bytes, asBytes(key), asBytes(data)), encoding);
}

function digested(digest: Digest, data: Data, encoding: Encoding): string {
  return encoded(digest(asBytes(data)), encoding);
}

function asBytes(data: Data): Uint8Array {
  if (typeof data === "string") return encoder.encode(data);
  if (data instanceof Uint8Array) return data;
  throw new TypeError(`cannot hash a ${data === null ? "null" : typeof data}: give a text or a Uint8Array`);
}

function encoded(bytes: Uint8Array, encoding: Encoding): string {
  if (encoding === "hex") {
    let text = "";
    for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i] as number];
    return text;
  }
  const base64 = btoa(String.fromCharCode(...bytes));
  if (encoding === "base64") return base64;
  if (encoding === "base64url") return base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  throw new TypeError(`there is no encoding "${encoding}": there are hex, base64 and base64url`);
}
