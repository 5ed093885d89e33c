import type { SourceSnapshot } from "../../../shared/snapshot.ts";
import { fromBase64 } from "../decode/base64.ts";
import {
  MalformedProofError,
  MissingProofError,
  UntimelyProofError,
  WrongProofError,
  WrongSecretError,
} from "./incoming-webhook-errors.ts";

export type Verify = NonNullable<SourceSnapshot["verify"]>;

/** What a request is checked against. */
export interface Signed {
  readonly headers: Headers;
  /** The body as it arrived: any change, unpacking included, would break the signature. */
  readonly body: Uint8Array<ArrayBuffer>;
  readonly nowMs: number;
}

/** How far a signature's time may be off either way: what Standard Webhooks and Stripe recommend against replayed requests. */
const TOLERANCE_S = 300;

const DEFAULT_SECRET_HEADER = "authorization";
const BEARER = /^bearer +/i;

/**
 * Resolves where the request proves that its sender has the secret; comparisons take the same time wherever they fail. Throws an
 * AppError (401) that says what is missing or wrong.
 */
export async function verifySender({ scheme, header }: Verify, secret: string, request: Signed): Promise<void> {
  switch (scheme) {
    case "secret":
      return verifySecret(secretHeader(header), secret, request);
    case "standard-webhooks":
      return verifyStandardWebhooks(secret, request);
    case "github":
      return verifyGithub(secret, request);
    case "stripe":
      return verifyStripe(secret, request);
  }
}

/** The header that scheme `secret` reads. */
export function secretHeader(configured: string | undefined): string {
  return configured?.toLowerCase() ?? DEFAULT_SECRET_HEADER;
}

async function verifySecret(header: string, secret: string, { headers }: Signed): Promise<void> {
  const given = headers.get(header);
  if (given === null) throw new MissingProofError([header]);
  const key = await hmacKey(utf8.encode(secret));
  // Compared by their MACs, so that neither the place of the first difference nor the length shows.
  const mac = await crypto.subtle.sign("HMAC", key, utf8.encode(secret));
  const candidates = header === DEFAULT_SECRET_HEADER ? [given, given.replace(BEARER, "")] : [given];
  for (const candidate of candidates) {
    if (await crypto.subtle.verify("HMAC", key, mac, utf8.encode(candidate))) return;
  }
  throw new WrongSecretError(header);
}

const STANDARD_WEBHOOKS = ["id", "timestamp", "signature"] as const;
/** Those of the specification, and of the service that it comes from, whose customers still send them. */
const STANDARD_PREFIXES = ["webhook", "svix"];
const STANDARD_SIGNATURE = /^v1,(.+)$/;
const STANDARD_SECRET_PREFIX = "whsec_";

/** Of the three headers that are signed for together. */
export function standardPrefix(headers: Headers): string {
  return STANDARD_PREFIXES.find((name) => headers.has(`${name}-signature`)) ?? "webhook";
}

async function verifyStandardWebhooks(secret: string, { headers, body, nowMs }: Signed): Promise<void> {
  const prefix = standardPrefix(headers);
  const names = STANDARD_WEBHOOKS.map((part) => `${prefix}-${part}`);
  const missing = names.filter((name) => !headers.get(name));
  if (missing.length > 0) throw new MissingProofError(missing);
  const [id, timestamp, signatures] = names.map((name) => headers.get(name)) as [string, string, string];
  const given = signatures.split(" ").flatMap((one) => STANDARD_SIGNATURE.exec(one)?.[1] ?? []);
  const signatureHeader = `${prefix}-signature`;
  if (given.length === 0)
    throw new MalformedProofError(signatureHeader, "v1,<base64>, or several of these with spaces between");
  checkTime(`${prefix}-timestamp`, timestamp, nowMs);
  const key = await hmacKey(standardWebhooksKey(secret));
  if (
    !(await matches(
      key,
      given.map((text) => fromBase64(utf8.encode(text))),
      `${id}.${timestamp}.`,
      body,
    ))
  )
    throw new WrongProofError(signatureHeader);
}

/** Throws where the secret is no base64 behind its prefix, which the configuration refuses. */
function standardWebhooksKey(secret: string): Uint8Array<ArrayBuffer> {
  if (!secret.startsWith(STANDARD_SECRET_PREFIX)) return utf8.encode(secret);
  const key = fromBase64(utf8.encode(secret.slice(STANDARD_SECRET_PREFIX.length)));
  if (key === null) throw new Error("the secret of a source is no base64");
  return key;
}

const GITHUB_HEADER = "x-hub-signature-256";
const GITHUB_SIGNATURE = /^sha256=([\da-f]{64})$/i;

async function verifyGithub(secret: string, { headers, body }: Signed): Promise<void> {
  const header = headers.get(GITHUB_HEADER);
  if (header === null) throw new MissingProofError([GITHUB_HEADER]);
  const signature = GITHUB_SIGNATURE.exec(header.trim())?.[1];
  if (signature === undefined) throw new MalformedProofError(GITHUB_HEADER, "sha256=<64 hex digits>");
  const key = await hmacKey(utf8.encode(secret));
  if (!(await matches(key, [fromHex(signature)], "", body))) throw new WrongProofError(GITHUB_HEADER);
}

const STRIPE_HEADER = "stripe-signature";
const STRIPE_SIGNATURE = /^[\da-f]{64}$/i;

async function verifyStripe(secret: string, { headers, body, nowMs }: Signed): Promise<void> {
  const header = headers.get(STRIPE_HEADER);
  if (header === null) throw new MissingProofError([STRIPE_HEADER]);
  const parts = header.split(",").map((part) => part.trim().split("=", 2) as [string, string?]);
  const timestamp = parts.find(([name]) => name === "t")?.[1];
  const given = parts.flatMap(([name, value = ""]) => (name === "v1" && STRIPE_SIGNATURE.test(value) ? [value] : []));
  if (timestamp === undefined || given.length === 0) {
    throw new MalformedProofError(STRIPE_HEADER, "t=<seconds since 1970>,v1=<64 hex digits>");
  }
  checkTime(STRIPE_HEADER, timestamp, nowMs);
  // Stripe's key is the whole text of the secret, its prefix included.
  const key = await hmacKey(utf8.encode(secret));
  if (!(await matches(key, given.map(fromHex), `${timestamp}.`, body))) throw new WrongProofError(STRIPE_HEADER);
}

const SECONDS = /^\d{1,12}$/;

function checkTime(header: string, timestamp: string, nowMs: number): void {
  if (!SECONDS.test(timestamp))
    throw new MalformedProofError(header, "the time of the signature in seconds since 1970");
  const ageS = Math.floor(nowMs / 1_000) - Number(timestamp);
  if (Math.abs(ageS) > TOLERANCE_S) throw new UntimelyProofError(header, ageS, TOLERANCE_S);
}

/** More than a rotation of secrets needs; each costs an HMAC of the body. */
const SIGNATURES_MAX_COUNT = 10;

/** Whether one of the signatures is that of `head` and the body. Senders sign with two keys while they rotate them. */
async function matches(
  key: CryptoKey,
  signatures: readonly (Uint8Array<ArrayBuffer> | null)[],
  head: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const content = head === "" ? body : joined(utf8.encode(head), body);
  for (const signature of signatures.slice(0, SIGNATURES_MAX_COUNT)) {
    if (signature !== null && (await crypto.subtle.verify("HMAC", key, signature, content))) return true;
  }
  return false;
}

/** Its results are never on shared memory, which its type leaves open. */
const utf8 = new TextEncoder() as { encode(text: string): Uint8Array<ArrayBuffer> };

function hmacKey(key: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

function joined(head: Uint8Array, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(head.length + body.length);
  all.set(head);
  all.set(body, head.length);
  return all;
}

function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(i * 2, i * 2 + 2), 16);
  return bytes;
}
