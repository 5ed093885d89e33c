import { AppError } from "../../shared/errors.ts";
import { fromBase64, toBase64 } from "./base64.ts";

/**
 * Seals and opens destination secrets (invariant 8): the only code that decrypts. AES-256-GCM, a fresh nonce each time.
 * A sealed secret is text: "v1." + base64(nonce, ciphertext, tag).
 */
export class Vault {
  readonly #key: Promise<CryptoKey>;

  constructor(key: Promise<CryptoKey>) {
    this.#key = key;
    // Somebody may make a vault and never use it; the error is theirs who do.
    key.catch(() => undefined);
  }

  /** `secretKey`: base64 of 32 bytes. A bad one is reported by the first use, as `SecretKeyError`. */
  static fromBase64(secretKey: string | undefined): Vault {
    return new Vault(importKey(secretKey));
  }

  async seal(plaintext: string): Promise<string> {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const text = new TextEncoder().encode(plaintext);
    const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, await this.#key, text));
    const all = new Uint8Array(NONCE_BYTES + sealed.length);
    all.set(nonce);
    all.set(sealed, NONCE_BYTES);
    return VERSION + toBase64(all);
  }

  /** `previous` where it is a sealed form of the same text, else a new one. */
  async reseal(plaintext: string, previous: string | null): Promise<string> {
    if (previous !== null) {
      const before = await this.open(previous).catch((error: unknown) => {
        if (error instanceof SecretKeyError) throw error;
        return null;
      });
      if (before === plaintext) return previous;
    }
    return this.seal(plaintext);
  }

  /** Throws `SealedSecretError` for text that this key did not seal. */
  async open(sealed: string): Promise<string> {
    const key = await this.#key;
    if (!sealed.startsWith(VERSION)) throw new SealedSecretError();
    try {
      const all = fromBase64(sealed.slice(VERSION.length));
      const iv = all.subarray(0, NONCE_BYTES);
      const text = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, all.subarray(NONCE_BYTES));
      return new TextDecoder().decode(text);
    } catch (cause) {
      throw new SealedSecretError(cause);
    }
  }
}

export class SecretKeyError extends AppError {
  constructor(cause?: unknown) {
    const message = "SECRET_KEY of the deliver worker must be the base64 of 32 random bytes: set it and start again";
    super("secret_key_unusable", 500, message, { cause });
  }
}

export class SealedSecretError extends AppError {
  constructor(cause?: unknown) {
    const message =
      "a stored secret cannot be opened: SECRET_KEY has changed since it was saved; apply the configuration again";
    super("secret_unreadable", 500, message, { cause });
  }
}

const VERSION = "v1.";
/** What AES-GCM is specified for. */
const NONCE_BYTES = 12;
const KEY_BYTES = 32;

async function importKey(secretKey: string | undefined): Promise<CryptoKey> {
  let raw: Uint8Array<ArrayBuffer>;
  try {
    raw = fromBase64((secretKey ?? "").trim());
  } catch (cause) {
    throw new SecretKeyError(cause);
  }
  if (raw.length !== KEY_BYTES) throw new SecretKeyError();
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
}
