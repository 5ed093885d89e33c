import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hmacMd5, hmacSha1, hmacSha256, md5, sha1, sha256 } from "./hash.ts";

const DIGESTS = [
  { name: "md5", digest: md5, hmac: hmacMd5 },
  { name: "sha1", digest: sha1, hmac: hmacSha1 },
  { name: "sha256", digest: sha256, hmac: hmacSha256 },
] as const;
/** Padding turns over around multiples of 64 bytes. */
const bytes = fc.uint8Array({ maxLength: 300 });
const encoding = fc.constantFrom("hex", "base64", "base64url");

describe.each(DIGESTS)("$name", ({ name, digest, hmac }) => {
  it("agrees with Node's on bytes", () => {
    fc.assert(
      fc.property(bytes, encoding, (data, as) => {
        expect(digest(data, as)).toBe(createHash(name).update(data).digest(as));
      }),
    );
  });

  it("agrees with Node's at every length around a block", () => {
    for (let length = 0; length < 200; length++) {
      const text = "a".repeat(length);
      expect(digest(text)).toBe(createHash(name).update(text).digest("hex"));
    }
  });

  it("agrees with Node's on text of every alphabet, lone surrogates included", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(digest(text)).toBe(createHash(name).update(new TextEncoder().encode(text)).digest("hex"));
      }),
    );
  });

  it("agrees with Node's on a megabyte", () => {
    const data = new Uint8Array(1_000_003).map((_, i) => i * 7);
    expect(digest(data)).toBe(createHash(name).update(data).digest("hex"));
  });

  it("signs as Node does, with keys shorter and longer than a block", () => {
    fc.assert(
      fc.property(bytes, bytes, encoding, (key, data, as) => {
        expect(hmac(key, data, as)).toBe(createHmac(name, key).update(data).digest(as));
      }),
    );
  });
});

describe("headwater:hash", () => {
  it.each([
    [null, "null"],
    [undefined, "undefined"],
    [5, "number"],
  ])("refuses to hash %s", (data, kind) => {
    expect(() => sha256(data as never)).toThrow(`cannot hash a ${kind}`);
  });

  it("refuses an encoding that it does not have", () => {
    expect(() => sha256("a", "utf8" as never)).toThrow('there is no encoding "utf8"');
  });
});
