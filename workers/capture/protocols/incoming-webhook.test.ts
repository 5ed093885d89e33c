import { createHmac } from "node:crypto";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { AppError } from "../../../shared/errors.ts";
import type { SourceSnapshot } from "../../../shared/snapshot.ts";
import { OpenedSecrets } from "../opened-secrets.ts";
import { aContext, runProtocolTests } from "./conformance.ts";
import { incomingWebhook } from "./incoming-webhook.ts";
import type { Verify } from "./incoming-webhook-verify.ts";
import type { CaptureContext } from "./protocol.ts";

const TOKEN = "whk_acme";
const UUID = "01890a5d-ac96-774b-bcce-b302099a8057";
const ROUTE = "/w/:token";
const SECRET = "It's a Secret to Everybody";

function aSource(overrides: Partial<SourceSnapshot> = {}): SourceSnapshot {
  return { id: "github", protocol: "webhook", tokens: [TOKEN], enabled: true, ip: "keep", ...overrides };
}

function contextOf(source: SourceSnapshot = aSource(), overrides: Partial<CaptureContext> = {}): CaptureContext {
  return aContext({
    route: ROUTE,
    params: { token: TOKEN },
    resolution: { team: "acme", lanes: 1, source },
    openSecret: async (sealed) => (sealed === "v1.sealed" ? SECRET : Promise.reject(new Error("no such secret"))),
    ...overrides,
  });
}

interface Sent {
  body?: BodyInit | null;
  headers?: Record<string, string> | [string, string][];
  url?: string;
  context?: CaptureContext;
}

const request = ({ body = "{}", headers = {}, url = `/w/${TOKEN}` }: Sent) =>
  new Request(`http://capture.test${url}`, {
    method: "POST",
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
    headers,
  });
const decode = (sent: Sent = {}) => incomingWebhook.decode(request(sent), sent.context ?? contextOf());

async function eventOf(sent: Sent) {
  const [event] = (await decode(sent)).events;
  if (event === undefined) throw new Error("there is no event");
  return event;
}

const bodyOf = async (sent: Sent) => {
  const { body, body_error } = (await eventOf(sent)).properties;
  return body_error === undefined ? body : { body, body_error };
};

async function refusal(sent: Sent) {
  const error: unknown = await decode(sent).catch((thrown: unknown) => thrown);
  if (!(error instanceof AppError)) throw new Error("it was taken");
  return error;
}

runProtocolTests({
  protocol: incomingWebhook,
  route: ROUTE,
  token: TOKEN,
  events: [{ uuid: UUID, event: "webhook", distinct_id: "user-1" }],
  body: ([event]) => JSON.stringify({ distinct_id: event?.distinct_id }),
  headers: { "webhook-id": UUID, "content-type": "application/json" },
  context: { params: { token: TOKEN }, resolution: { team: "acme", lanes: 1, source: aSource() } },
  takes: {
    bodies: [
      ...["no body", "an empty body", "text that is no JSON", "JSON that breaks off"],
      ...["null", "a number", "bytes that are no UTF-8", "no events"],
    ],
    reason: "a service cannot mend what it sends, so whatever can be unpacked is kept",
  },
  tooLargeStatus: 413,
});

describe("an incoming webhook", () => {
  it("is one event that holds the request", async () => {
    const sent = {
      body: '{"ref":"refs/heads/main","__proto__":{"a":1}}',
      url: `/w/${TOKEN}?env=prod&tag=a&tag=b&__proto__=x`,
      headers: { "content-type": "application/json; charset=utf-8", "x-github-event": "push", "user-agent": "Hook/1" },
      context: contextOf(aSource(), { client: { ip: "203.0.113.7", geo: undefined } }),
    };
    const { token, events } = await decode(sent);
    expect(token).toBe(TOKEN);
    // Compared as text: a matcher takes `__proto__` for the prototype.
    expect(JSON.parse(JSON.stringify({ ...events[0], properties: null }))).toEqual({
      uuid: expect.stringMatching(/^[\da-f-]{36}$/),
      event: "webhook",
      distinct_id: "github",
      timestamp: "2026-08-01T12:00:00.000Z",
      properties: null,
      ip: "203.0.113.7",
      received_at: "2026-08-01T12:00:00.000Z",
      source: "github",
    });
    expect(JSON.stringify(events[0]?.properties)).toBe(
      '{"method":"POST","query":{"env":"prod","tag":["a","b"],"__proto__":"x"},' +
        '"headers":{"content-type":"application/json; charset=utf-8","user-agent":"Hook/1","x-github-event":"push"},' +
        '"content_type":"application/json; charset=utf-8","body":{"ref":"refs/heads/main","__proto__":{"a":1}}}',
    );
  });

  it("is answered with its uuid", async () => {
    const decoded = await decode({ headers: { "webhook-id": UUID } });
    const response = await incomingWebhook.success(decoded, request({}), contextOf());
    expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([
      200,
      "application/json",
      `{"success":true,"uuid":"${UUID}"}`,
    ]);
    // Its source may be off.
    const without = await incomingWebhook.success({ ...decoded, events: [] }, request({}), contextOf());
    expect(await without.text()).toBe('{"success":true}');
  });

  it("is answered with what is wrong", async () => {
    const response = incomingWebhook.failure(
      await refusal({ headers: { "content-encoding": "aws-chunked" } }),
      request({}),
      contextOf(),
    );
    expect([response.status, await response.text()]).toEqual([
      415,
      '{"success":false,"code":"unsupported_encoding","message":"the Content-Encoding has to be one of gzip, deflate, br, zstd, or absent"}',
    ]);
  });

  it.each([
    ["a path that is no UTF-8", "%ff", 400],
    ["a personal key", "phx_1", 401],
    ["a token that is too long", "x".repeat(65), 401],
  ])("has a token: not %s", (_what, token, status) => {
    const thrown = () => incomingWebhook.tokenOf?.(contextOf(aSource(), { params: { token } }));
    expect(thrown).toThrow(expect.objectContaining({ status }) as Error);
  });

  it("has a token that the address may have encoded", () => {
    expect(incomingWebhook.tokenOf?.(contextOf(aSource(), { params: { token: "a%3Ab" } }))).toBe("a:b");
  });
});

describe("its body", () => {
  const json = { "content-type": "application/json" };
  const form = { "content-type": "application/x-www-form-urlencoded" };

  it.each<[string, Sent, unknown]>([
    ["JSON", { body: "[1,2]", headers: json }, [1, 2]],
    ["JSON by a type of its own", { body: '"x"', headers: { "content-type": "application/cloudevents+json" } }, "x"],
    ["JSON as text", { body: ' {"a":1}', headers: { "content-type": "text/plain" } }, { a: 1 }],
    ["JSON behind a byte order mark", { body: '\ufeff{"a":1}', headers: json }, { a: 1 }],
    ["text", { body: "hello", headers: { "content-type": "text/plain" } }, "hello"],
    ["text that begins like JSON", { body: "[hello", headers: { "content-type": "text/plain" } }, "[hello"],
    ["a form", { body: "a=1&b=x+y&b=%26&__proto__=z", headers: form }, null],
    ["nothing", { body: "" }, null],
    ["nothing at all", { body: null }, null],
    ["half a surrogate pair", { body: '{"a":"\\ud800"}', headers: json }, { a: "\ufffd" }],
  ])("is %s", async (what, sent, expected) => {
    if (what !== "a form") return expect(await bodyOf(sent)).toEqual(expected);
    expect(JSON.stringify(await bodyOf(sent))).toBe('{"a":"1","b":["x y","&"],"__proto__":"z"}');
  });

  it("is a form with files, of which it says what they are", async () => {
    const fields = new FormData();
    fields.append("from", "ada@example.com");
    fields.append("file", new File(["abc"], "a.txt", { type: "text/plain" }));
    const packed = new Response(fields);
    const headers = { "content-type": packed.headers.get("content-type") ?? "" };
    expect(await bodyOf({ body: await packed.arrayBuffer(), headers })).toEqual({
      from: "ada@example.com",
      file: { filename: "a.txt", content_type: expect.stringMatching(/^text\/plain/), size: 3 },
    });
  });

  it("stays text where it is not what its type says, and is marked", async () => {
    expect(await bodyOf({ body: "{a", headers: json })).toEqual({
      body: "{a",
      body_error: expect.stringMatching(/^failed to parse request: /),
    });
    const headers = { "content-type": "multipart/form-data; boundary=x" };
    expect(await bodyOf({ body: "a=1", headers })).toEqual({
      body: "a=1",
      body_error: expect.stringMatching(/^not multipart\/form-data: /),
    });
  });

  it("keeps what can be read of bytes that are no UTF-8, and is marked", async () => {
    const bytes = Uint8Array.of(0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d);
    expect(await bodyOf({ body: bytes, headers: json })).toEqual({
      body: { a: "\ufffd" },
      body_error: "not UTF-8: what could not be read is U+FFFD",
    });
  });

  it.each(Object.entries({ gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }))(
    "may be packed in %s",
    async (encoding, pack) => {
      const headers = { ...json, "content-encoding": encoding };
      expect(await bodyOf({ body: Uint8Array.from(pack('{"a":1}')), headers })).toEqual({ a: 1 });
    },
  );

  it("is refused where it is deeper than a parser should go", async () => {
    const error = await refusal({ body: "[".repeat(150_000), headers: json });
    expect([error.status, error.message]).toEqual([
      400,
      "failed to parse request: arrays and objects are nested more than 200 levels deep",
    ]);
  });
});

describe("its headers", () => {
  it("are kept but for secrets, proofs and what the way here added", async () => {
    const secrets = [
      "authorization",
      "cookie",
      "x-api-key",
      "x-gitlab-token",
      "x-shopify-hmac-sha256",
      "stripe-signature",
    ];
    const added = [
      "cf-connecting-ip",
      "x-forwarded-for",
      "x-real-ip",
      "forwarded",
      "via",
      "cdn-loop",
      "fastly-client-ip",
      "x-original-forwarded-for",
      "x-azure-socketip",
      "x-azure-clientip",
      "x-appengine-user-ip",
      "x-envoy-external-address",
      "cloudfront-viewer-address",
    ];
    const names = [...secrets, ...added, "x-key", "x-event", "webhook-timestamp", "__proto__"];
    const source = aSource({ verify: { scheme: "secret", header: "X-Key", sealed: "v1.sealed" } });
    const headers = names.map((name): [string, string] => [name, name === "x-key" ? SECRET : "value"]);
    const { properties } = await eventOf({ body: null, headers, context: contextOf(source) });
    expect(JSON.stringify(properties.headers)).toBe(
      '{"__proto__":"value","webhook-timestamp":"value","x-event":"value"}',
    );
    expect(JSON.stringify(properties)).not.toContain(SECRET);
  });
});

describe("its user", () => {
  it.each<[unknown, string]>([
    [{ distinct_id: "d", user_id: "u" }, "d"],
    [{ user_id: 7, userId: "u" }, "7"],
    [{ userId: "u" }, "u"],
    [{ distinct_id: " ", userId: "u" }, "u"],
    [{ distinct_id: { a: 1 } }, "github"],
    [{ user: { id: "u" } }, "github"],
    [["u"], "github"],
    ["u", "github"],
    [JSON.parse('{"__proto__":{"userId":"u"}}'), "github"],
  ])("of %j is %s", async (body, user) => {
    expect((await eventOf({ body: JSON.stringify(body) })).distinct_id).toBe(user);
  });
});

describe("its uuid", () => {
  const uuidOf = async (headers: Record<string, string>, context?: CaptureContext, body = "{}") =>
    (await eventOf({ headers, body, ...(context === undefined ? {} : { context }) })).uuid;

  it("is the webhook-id where that is one (invariant 7)", async () => {
    expect(await uuidOf({ "webhook-id": UUID.toUpperCase() })).toBe(UUID);
  });

  it("comes from what the sender calls the delivery, and is the same again (invariant 7)", async () => {
    for (const name of ["webhook-id", "svix-id", "x-github-delivery"]) {
      const once = await uuidOf({ [name]: "msg_1" });
      expect(once).toMatch(/^[\da-f]{8}-[\da-f]{4}-5/);
      expect(await uuidOf({ [name]: "msg_1" }, undefined, '{"changed":true}')).toBe(once);
      expect(await uuidOf({ [name]: "msg_2" })).not.toBe(once);
    }
  });

  it("is another one at another source or team", async () => {
    const headers = { "x-github-delivery": UUID };
    const source = aSource({ id: "other" });
    const elsewhere = contextOf(aSource(), { resolution: { team: "umbrella", lanes: 1, source: aSource() } });
    const uuids = [await uuidOf(headers), await uuidOf(headers, contextOf(source)), await uuidOf(headers, elsewhere)];
    expect(new Set([...uuids, UUID]).size).toBe(4);
  });

  it("comes from the id of Stripe's event, once that is proved", async () => {
    const body = '{"id":"evt_1","type":"invoice.paid"}';
    const at = Date.UTC(2026, 7, 1, 12) / 1_000;
    const v1 = createHmac("sha256", SECRET).update(`${at}.${body}`).digest("hex");
    const context = contextOf(aSource({ verify: { scheme: "stripe", sealed: "v1.sealed" } }));
    const once = await uuidOf({ "stripe-signature": `t=${at},v1=${v1}` }, context, body);
    expect(await uuidOf({ "stripe-signature": `t=${at},v1=${v1}` }, context, body)).toBe(once);
    // An id that anybody can write says nothing.
    const unproved = contextOf();
    expect(await uuidOf({}, unproved, body)).not.toBe(await uuidOf({}, unproved, body));
    const replayed = { "stripe-signature": `t=${at},v1=${v1}`, "webhook-id": "another" };
    expect(await uuidOf(replayed, context, body)).toBe(once);
  });

  it("is the signed one, whatever other ids are beside it", async () => {
    const at = String(Date.UTC(2026, 7, 1, 12) / 1_000);
    const v1 = createHmac("sha256", SECRET).update(`msg_1.${at}.{}`).digest("base64");
    const context = contextOf(aSource({ verify: { scheme: "standard-webhooks", sealed: "v1.sealed" } }));
    const signed = { "svix-id": "msg_1", "svix-timestamp": at, "svix-signature": `v1,${v1}` };
    const once = await uuidOf(signed, context);
    expect(await uuidOf({ ...signed, "webhook-id": UUID }, context)).toBe(once);
    expect(await uuidOf({ ...signed, "x-github-delivery": "another" }, context)).toBe(once);
  });

  it("is made where the sender says nothing", async () => {
    const context = contextOf();
    expect(await uuidOf({}, context)).not.toBe(await uuidOf({}, context));
  });
});

describe("proof of where it comes from", () => {
  const verify: Verify = { scheme: "github", sealed: "v1.sealed" };
  const body = Uint8Array.from(gzipSync('{"a":1}'));
  const signature = `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`;
  const headers = { "content-encoding": "gzip", "x-hub-signature-256": signature };

  it("is over the bytes as they arrive", async () => {
    expect(await bodyOf({ body, headers, context: contextOf(aSource({ verify })) })).toEqual({ a: 1 });
  });

  it("comes before anything else: a body that cannot be unpacked is not looked at", async () => {
    const error = await refusal({
      body: Uint8Array.of(1, 2, 3),
      headers,
      context: contextOf(aSource({ verify })),
    });
    expect([error.status, error.code]).toEqual([401, "wrong_signature"]);
  });

  it.each<[string, CaptureContext]>([
    ["its secret cannot be opened", contextOf(aSource({ verify: { scheme: "github", sealed: "v1.other" } }))],
    ["its source cannot be looked up", contextOf(aSource(), { resolution: null })],
  ])("is asked for again later where %s: nothing is taken unproved", async (_what, context) => {
    const error = await refusal({ body, headers, context });
    expect([error.status, error.retryAfterS, error.message]).toEqual([
      503,
      10,
      "where the request comes from cannot be checked now, please retry",
    ]);
  });
});

describe("opened secrets", () => {
  it("are opened once, until they make room for others, and again after a failure", async () => {
    const calls: string[] = [];
    const secrets = new OpenedSecrets(async (sealed) => {
      calls.push(sealed);
      if (sealed === "bad") throw new Error("cannot be opened");
      return `open ${sealed}`;
    }, 2);
    expect([await secrets.open("a"), await secrets.open("a"), await secrets.open("b")]).toEqual([
      "open a",
      "open a",
      "open b",
    ]);
    await secrets.open("a");
    await secrets.open("c");
    expect(calls.splice(0)).toEqual(["a", "b", "c"]);
    await secrets.open("a");
    await secrets.open("b");
    for (const _try of [1, 2]) await expect(secrets.open("bad")).rejects.toThrow("cannot be opened");
    expect(calls).toEqual(["b", "bad", "bad"]);
  });
});
