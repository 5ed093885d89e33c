import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import { sign } from "../../deliver/destinations/webhook-signature.ts";
import { type Verify, verifySender } from "./incoming-webhook-verify.ts";

const NOW_MS = Date.UTC(2026, 7, 1, 12);
const NOW_S = NOW_MS / 1_000;
const BODY = '{"id":"evt_1","amount":100}';

const bytes = (text: string) => Uint8Array.from(new TextEncoder().encode(text));
const hmac = (secret: string, text: string) => createHmac("sha256", secret).update(text).digest("hex");

interface Given {
  secret: string;
  headers: Record<string, string>;
  header?: string;
  body?: string;
  nowMs?: number;
}

/** Null where the request is taken, else what the sender is told. */
async function verdict(scheme: Verify["scheme"], { secret, headers, header, body = BODY, nowMs = NOW_MS }: Given) {
  const verify = { scheme, sealed: "v1.sealed", ...(header === undefined ? {} : { header }) };
  const request = { headers: new Headers(headers), body: bytes(body), nowMs };
  const error: unknown = await verifySender(verify, secret, request).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error === null) return null;
  if (!(error instanceof AppError)) throw error;
  expect(error.message).not.toContain(secret);
  return [error.status, error.code, error.message];
}

describe("a shared secret", () => {
  const secret = "s3cret";

  it.each<[string, Pick<Given, "headers" | "header">]>([
    ["in the authorization header", { headers: { authorization: "s3cret" } }],
    ["as a bearer token", { headers: { authorization: "Bearer s3cret" } }],
    ["as a bearer token in small letters", { headers: { authorization: "bearer  s3cret" } }],
    ["in a header of its own, however written", { header: "X-Gitlab-Token", headers: { "x-gitlab-token": "s3cret" } }],
  ])("is taken %s", async (_where, given) => {
    expect(await verdict("secret", { secret, ...given })).toBeNull();
  });

  it("may itself begin with Bearer", async () => {
    expect(await verdict("secret", { secret: "Bearer x", headers: { authorization: "Bearer x" } })).toBeNull();
  });

  it.each(["s3cre", "s3crets", "S3cret", "", "Bearer", "Basic s3cret"])("is not %j", async (given) => {
    const text = "the secret in authorization is not that of the source";
    expect(await verdict("secret", { secret, headers: { authorization: given } })).toEqual([401, "wrong_secret", text]);
  });

  it("has no Bearer in front of it in a header of its own", async () => {
    const given = { header: "x-key", headers: { "x-key": "Bearer s3cret" } };
    expect((await verdict("secret", { secret, ...given }))?.[1]).toBe("wrong_secret");
  });

  it("is asked for by the name of its header", async () => {
    const text = "this source takes signed requests only, and this one lacks: x-key";
    expect(await verdict("secret", { secret, header: "X-Key", headers: { authorization: "s3cret" } })).toEqual([
      401,
      "missing_signature",
      text,
    ]);
  });
});

describe("Standard Webhooks", () => {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const signed = (overrides: { id?: string; at?: number; body?: string; secret?: string } = {}) => {
    const { id = "msg_1", at = NOW_S, body = BODY, secret: key = secret } = overrides;
    return {
      "webhook-id": id,
      "webhook-timestamp": String(at),
      "webhook-signature": new Webhook(key).sign(id, new Date(at * 1_000), body),
    };
  };
  const check = (headers: Record<string, string>, rest: Partial<Given> = {}) =>
    verdict("standard-webhooks", { secret, headers, ...rest });

  it("takes the signature of the specification's example", async () => {
    const headers = {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };
    expect(await check(headers, { body: '{"test": 2432232314}', nowMs: 1_614_265_330_000 })).toBeNull();
  });

  it("takes what another implementation signs", async () => {
    expect(await check(signed())).toBeNull();
  });

  it("takes what our own destination signs, with a secret that is no base64 too", async () => {
    for (const key of [secret, "any text"]) {
      expect(await check(await sign([key], "msg_1", NOW_MS, bytes(BODY)), { secret: key })).toBeNull();
    }
  });

  it("takes one good signature among others, of other versions too", async () => {
    const other = signed({ secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })["webhook-signature"];
    const headers = signed();
    headers["webhook-signature"] = `v1a,xyz ${other} v1,%%% ${headers["webhook-signature"]}`;
    expect(await check(headers)).toBeNull();
  });

  it("takes the older names of its headers", async () => {
    const renamed = Object.entries(signed()).map(([name, value]) => [name.replace("webhook", "svix"), value]);
    expect(await check(Object.fromEntries(renamed))).toBeNull();
  });

  it("takes a clock that is off by five minutes, and no more", async () => {
    expect(await check(signed({ at: NOW_S - 300 }))).toBeNull();
    expect(await check(signed({ at: NOW_S + 300 }))).toBeNull();
    const advice = "at most 300 s are allowed: check the sender's clock, and let it sign again when it tries again";
    expect(await check(signed({ at: NOW_S - 301 }))).toEqual([
      401,
      "untimely_signature",
      `the request was signed 301 s ago by webhook-timestamp; ${advice}`,
    ]);
    expect(await check(signed({ at: NOW_S + 301 }))).toEqual([
      401,
      "untimely_signature",
      `the request was signed 301 s in the future by webhook-timestamp; ${advice}`,
    ]);
  });

  it("names all headers that are missing", async () => {
    const lacks = "this source takes signed requests only, and this one lacks:";
    expect(await check({})).toEqual([
      401,
      "missing_signature",
      `${lacks} webhook-id, webhook-timestamp, webhook-signature`,
    ]);
    const { "webhook-signature": _left, ...rest } = signed();
    expect(await check(rest)).toEqual([401, "missing_signature", `${lacks} webhook-signature`]);
  });

  it.each<[string, Record<string, string>, Partial<Given>]>([
    ["another body", signed(), { body: `${BODY} ` }],
    ["another id", { ...signed(), "webhook-id": "msg_2" }, {}],
    ["another time", { ...signed(), "webhook-timestamp": String(NOW_S - 1) }, {}],
    ["another key", signed({ secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }), {}],
    ["a signature that breaks off", { ...signed(), "webhook-signature": "v1,AAAA" }, {}],
    ["a signature that is no base64", { ...signed(), "webhook-signature": "v1,%%%" }, {}],
  ])("refuses %s", async (_what, headers, rest) => {
    expect(await check(headers, rest)).toEqual([
      401,
      "wrong_signature",
      "the signature in webhook-signature does not match: compare the sender's secret with that of the source; the body must arrive as it was signed",
    ]);
  });

  it.each([
    ["no version", { "webhook-signature": "AAAA" }],
    ["another version alone", { "webhook-signature": "v2,AAAA" }],
    ["a time that is no number", { "webhook-timestamp": "2026-08-01T12:00:00Z" }],
    ["a time below zero", { "webhook-timestamp": "-1" }],
  ])("says what is expected instead of %s", async (_what, changed) => {
    expect((await check({ ...signed(), ...changed }))?.[1]).toBe("malformed_signature");
  });
});

describe("GitHub", () => {
  // The values of GitHub's own documentation.
  const secret = "It's a Secret to Everybody";
  const body = "Hello, World!";
  const signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const check = (given: string | undefined, text = body) =>
    verdict("github", { secret, headers: given === undefined ? {} : { "x-hub-signature-256": given }, body: text });

  it("takes the signature of the documentation's example", async () => {
    expect(await check(signature)).toBeNull();
    expect(await check(signature.toUpperCase().replace("SHA256", "sha256"))).toBeNull();
  });

  it("tells a missing, a misshapen and a wrong signature apart", async () => {
    expect((await check(undefined))?.[2]).toBe(
      "this source takes signed requests only, and this one lacks: x-hub-signature-256",
    );
    for (const given of [signature.slice(7), "sha1=757107ea", signature.slice(0, -1), `${signature}0`, ""]) {
      expect((await check(given))?.[2]).toBe("the header x-hub-signature-256 has to be sha256=<64 hex digits>");
    }
    expect((await check(signature.replace("757", "758")))?.[1]).toBe("wrong_signature");
    expect((await check(signature, `${body}!`))?.[1]).toBe("wrong_signature");
    expect((await check(`sha256=${hmac("", body)}`))?.[1]).toBe("wrong_signature");
  });
});

describe("Stripe", () => {
  const secret = "whsec_test_secret";
  const v1 = (at: number, key = secret) => hmac(key, `${at}.${BODY}`);
  const check = (header: string | undefined, rest: Partial<Given> = {}) =>
    verdict("stripe", { secret, headers: header === undefined ? {} : { "stripe-signature": header }, ...rest });

  it("takes the signature of now and of five minutes ago", async () => {
    for (const at of [NOW_S, NOW_S - 300]) expect(await check(`t=${at},v1=${v1(at)}`)).toBeNull();
  });

  it("takes one good signature among others, with spaces, and of a scheme that it does not know", async () => {
    const header = `t=${NOW_S}, v1=${v1(NOW_S, "whsec_old")}, v1=${v1(NOW_S)}, v0=${"0".repeat(64)}`;
    expect(await check(header)).toBeNull();
  });

  it("tells a missing, a misshapen, an old and a wrong signature apart", async () => {
    expect((await check(undefined))?.[1]).toBe("missing_signature");
    for (const header of ["", "t=1", `v1=${v1(NOW_S)}`, `t=${NOW_S},v0=${v1(NOW_S)}`, `t=${NOW_S},v1=zz`]) {
      expect((await check(header))?.[2]).toBe(
        "the header stripe-signature has to be t=<seconds since 1970>,v1=<64 hex digits>",
      );
    }
    expect((await check(`t=soon,v1=${v1(NOW_S)}`))?.[1]).toBe("malformed_signature");
    expect((await check(`t=${NOW_S - 301},v1=${v1(NOW_S - 301)}`))?.[1]).toBe("untimely_signature");
    expect((await check(`t=${NOW_S - 1},v1=${v1(NOW_S)}`))?.[1]).toBe("wrong_signature");
    expect((await check(`t=${NOW_S},v1=${v1(NOW_S)}`, { body: `${BODY}\n` }))?.[1]).toBe("wrong_signature");
    // The prefix is part of Stripe's key.
    expect((await check(`t=${NOW_S},v1=${v1(NOW_S, "test_secret")}`))?.[1]).toBe("wrong_signature");
  });

  it("looks at no more signatures than a rotation needs", async () => {
    const wrong = Array.from({ length: 10 }, () => `v1=${"0".repeat(64)}`).join(",");
    expect((await check(`t=${NOW_S},${wrong},v1=${v1(NOW_S)}`))?.[1]).toBe("wrong_signature");
  });
});
