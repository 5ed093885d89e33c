/** `import … from "crypto"` of scripts that were written for Node: digests, at once. */
import { hmacMd5, hmacSha1, hmacSha256, md5, sha1, sha256 } from "../../modules/hash.ts";

type Data = string | Uint8Array;
type Encoding = "hex" | "base64" | "base64url";

const encoder = new TextEncoder();
const DIGESTS = { md5, sha1, sha256 };
const HMACS = { md5: hmacMd5, sha1: hmacSha1, sha256: hmacSha256 };

class Hash {
  readonly #digest: (data: Uint8Array, encoding: Encoding) => string;
  #data = new Uint8Array(0);

  constructor(digest: (data: Uint8Array, encoding: Encoding) => string) {
    this.#digest = digest;
  }

  update(data: Data): this {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const joined = new Uint8Array(this.#data.length + bytes.length);
    joined.set(this.#data);
    joined.set(bytes, this.#data.length);
    this.#data = joined;
    return this;
  }

  /** As text; without an encoding, as bytes. */
  digest(encoding?: Encoding): string | Uint8Array {
    if (encoding !== undefined) return this.#digest(this.#data, encoding);
    return Uint8Array.from(atob(this.#digest(this.#data, "base64")), (char) => char.charCodeAt(0));
  }
}

export function createHash(algorithm: string): Hash {
  return new Hash(ofTable(DIGESTS, algorithm));
}

export function createHmac(algorithm: string, key: Data): Hash {
  const hmac = ofTable(HMACS, algorithm);
  return new Hash((data, encoding) => hmac(key, data, encoding));
}

export function randomUUID(): string {
  return crypto.randomUUID();
}

function ofTable<T>(table: Record<string, T>, algorithm: string): T {
  const name = String(algorithm).toLowerCase().replace("-", "");
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found === undefined) throw new Error(`no digest "${algorithm}": there are md5, sha1 and sha256`);
  return found;
}

const nodeCrypto = { createHash, createHmac, randomUUID };

export { nodeCrypto as default };
