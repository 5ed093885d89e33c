import { gunzipSync } from "node:zlib";
import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { expect, test } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { aRequest, aShapedLine, aSink, CLOCK, deliver, runDestinationTests } from "./conformance.ts";
import { webhook } from "./webhook.ts";
import { sign } from "./webhook-signature.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

runDestinationTests({
  kind: "webhook",
  settings: (url) => ({ url }),
  secrets: { signing_secret: SECRET, authorization: "Bearer hush-hush" },
  success: () => ({ status: 204 }),
  perRecord: null,
  shaped: { headers: { "x-own": "1" } },
  // A single event stands in an array where it has not been shaped.
  bodies: ({ body }) => [body],
});

test("the signature is the specification's own example", async () => {
  const body = new TextEncoder().encode('{"test": 2432232314}');
  expect(await sign([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, body)).toEqual({
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

test.each([
  [SECRET, undefined],
  ["a text of any length", { format: "raw" as const }],
])("the official verifier accepts what the secret %j signs", async (secret, options) => {
  CLOCK.advance(Date.now() - CLOCK.now());
  const sink = await aSink(() => ({}));
  await deliver("webhook", { url: `${sink.url}/in?a=1` }, { signing_secret: secret });
  const { headers, body, path, method } = sink.received[0]!;
  expect([method, path, headers["content-type"]]).toEqual(["POST", "/in?a=1", "application/json"]);
  const verified = new Webhook(secret, options).verify(body, headers as Record<string, string>);
  expect(verified).toEqual(JSON.parse(body));
  expect(() => new Webhook(secret, options).verify(`${body} `, headers as Record<string, string>)).toThrow();
});

const OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

test.each(["none", "gzip"])(
  "while secrets are rotated, the public verifiers accept the new and the old one, compression %s",
  async (compression) => {
    CLOCK.advance(Date.now() - CLOCK.now());
    const bodies: Buffer[] = [];
    const sink = await aSink(({ raw }) => {
      bodies.push(raw);
      return {};
    });
    const secrets = { "signing_secrets.0": SECRET, "signing_secrets.1": OLD_SECRET };
    expect(await deliver("webhook", { url: sink.url, compression, signing_secrets: [] }, secrets)).toContainEqual({
      result: "delivered",
    });
    const headers = sink.received[0]?.headers as Record<string, string>;
    expect(headers["content-encoding"]).toBe(compression === "gzip" ? "gzip" : undefined);
    const [raw] = bodies as [Buffer];
    const body = (compression === "gzip" ? gunzipSync(raw, { maxOutputLength: 1_000_000 }) : raw).toString();
    expect(JSON.parse(body)).toHaveLength(3);
    for (const secret of [SECRET, OLD_SECRET]) {
      expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
      expect(() => new SvixWebhook(secret).verify(body, headers)).not.toThrow();
      expect(() => new SvixWebhook(secret).verify(`${body} `, headers)).toThrow();
    }
    const other = "whsec_dGhlIGtleSBvZiBzb21lYm9keSBlbHNlLCBub3Qgb3Vycw==";
    expect(() => new Webhook(other).verify(body, headers)).toThrow();
  },
);

test("a batch is a JSON array of the events under the request's id, with static headers and authorization", async () => {
  const sink = await aSink(() => ({}));
  const request = aRequest({ id: "salt-1.0-1.3" });
  await deliver(
    "webhook",
    { url: sink.url, method: "PUT", headers: { "X-From": "edge" } },
    { authorization: "Bearer t" },
    request,
  );
  const { method, headers, body } = sink.received[0]!;
  expect(method).toBe("PUT");
  expect(headers).toMatchObject({ "webhook-id": "salt-1.0-1.3", "x-from": "edge", authorization: "Bearer t" });
  expect(headers).not.toHaveProperty("webhook-signature");
  expect(JSON.parse(body)).toEqual([1, 2, 3].map((n) => anEvent({ distinct_id: `user-${n}` })));
});

test.each([
  [JSON.stringify(anEvent()), anEvent().uuid],
  [JSON.stringify({ event: "e", uuid: anEvent().uuid }), anEvent().uuid],
  [JSON.stringify({ event: "a script took the uuid" }), "req-1"],
])("a single event is sent as it is, under its own uuid: %s", async (line, id) => {
  const sink = await aSink(() => ({}));
  await deliver("webhook", { url: sink.url, batch: { max_events: 1 } }, {}, aRequest({}, [line]));
  expect(sink.received[0]?.body).toBe(line);
  expect(sink.received[0]?.headers["webhook-id"]).toBe(id);
});

test.each([
  [undefined, 1, "application/json", JSON.stringify(anEvent())],
  [undefined, 2, "application/json", `[${JSON.stringify(anEvent())}]`],
  ["array", 1, "application/json", `[${JSON.stringify(anEvent())}]`],
  ["event", 1, "application/json", JSON.stringify(anEvent())],
  ["ndjson", 2, "application/x-ndjson", `${JSON.stringify(anEvent())}\n`],
])("format %s with %i events a request has the type %s and the body %s", async (format, maxEvents, type, body) => {
  const sink = await aSink(() => ({}));
  const settings = { url: sink.url, batch: { max_events: maxEvents }, ...(format === undefined ? {} : { format }) };
  await deliver("webhook", settings, {}, aRequest({}, [JSON.stringify(anEvent())]));
  expect(sink.received[0]).toMatchObject({ body, headers: { "content-type": type } });
});

test("as a form an event is flattened, its fields' names in brackets", async () => {
  const sink = await aSink(() => ({}));
  const line = JSON.stringify({
    event: "a&b",
    properties: { plan: "prö", list: [1, { x: true }], none: null, empty: {} },
  });
  await deliver("webhook", { url: sink.url, format: "form", batch: { max_events: 1 } }, {}, aRequest({}, [line]));
  expect(sink.received[0]?.headers["content-type"]).toBe("application/x-www-form-urlencoded");
  expect([...new URLSearchParams(sink.received[0]?.body)]).toEqual([
    ["event", "a&b"],
    ["properties[plan]", "prö"],
    ["properties[list][0]", "1"],
    ["properties[list][1][x]", "true"],
    ["properties[none]", ""],
  ]);
});

test("names in braces stand for what the event has, encoded in the url and, where they have to be, in headers", async () => {
  const sink = await aSink(() => ({}));
  const settings = {
    url: `${sink.url}/{team}/users/{distinct_id}?e={event}&t={token}#{uuid}`,
    headers: { "x-user": "{distinct_id}", "x-event": "{team}:{event}" },
    batch: { max_events: 1 },
  };
  const line = JSON.stringify(anEvent({ distinct_id: "a/b?c#d é", event: "$pageview" }));
  await deliver("webhook", settings, {}, aRequest({}, [line]));
  expect(sink.received[0]?.path).toBe("/acme/users/a%2Fb%3Fc%23d%20%C3%A9?e=%24pageview&t=phc_acme");
  expect(sink.received[0]?.headers).toMatchObject({
    "x-user": "a%2Fb%3Fc%23d%20%C3%A9",
    "x-event": "acme:$pageview",
  });
});

test.each([".", "..", "%2e%2E"])(
  "a value %s that would lead the url elsewhere is encoded, or a dead letter",
  async (id) => {
    const sink = await aSink(() => ({}));
    const settings = { url: `${sink.url}/users/{distinct_id}/events`, batch: { max_events: 1 } };
    const [outcome] = await deliver(
      "webhook",
      settings,
      {},
      aRequest({}, [JSON.stringify(anEvent({ distinct_id: id }))]),
    );
    expect(sink.received.map(({ path }) => path)).toEqual(id.startsWith("%") ? ["/users/%252e%252E/events"] : []);
    expect(outcome?.result).toBe(id.startsWith("%") ? "delivered" : "dead");
  },
);

test.each([
  [
    { type: "basic", username: "me" },
    { "auth.password": "pä:ss" },
    `Basic ${Buffer.from("me:pä:ss").toString("base64")}`,
  ],
  [{ type: "bearer" }, { "auth.token": "hush-hush" }, "Bearer hush-hush"],
])(
  "auth %j is the Authorization header, and in no answer that is kept (invariant 8)",
  async (auth, secrets, header) => {
    const sink = await aSink(({ headers }) => ({ status: 400, body: String(headers.authorization) }));
    const [outcome] = await deliver("webhook", { url: sink.url, auth }, secrets as Record<string, string>);
    expect(sink.received[0]?.headers.authorization).toBe(header);
    expect(outcome).toMatchObject({ result: "dead", response: expect.stringMatching(/^(Basic|Bearer) \[secret\]$/) });
  },
);

test.each([
  [{ url: "https://{team}.a.test/" }, "url"],
  [{ url: "https://a.test:{team}/" }, "url"],
  [{ url: "https://a.test/{user}" }, "url"],
  [{ url: "https://a.test/{event}" }, "url"],
  [{ url: "https://a.test", headers: { a: "{token}" } }, "headers"],
  [{ url: "https://a.test", headers: { a: "{nobody}" } }, "headers"],
  [{ url: "https://a.test", format: "form" }, "format"],
  [{ url: "https://a.test", format: "event", batch: { max_events: 2 } }, "format"],
  [{ url: "https://a.test", authorization: "x", auth: { type: "bearer", token: "y" } }, "authorization"],
  [{ url: "https://a.test", auth: { type: "basic", username: "a:b", password: "y" } }, "auth"],
  [{ url: "https://a.test", auth: { type: "bearer", token: "line\nbreak" } }, "auth"],
  [{ url: "https://a.test", signing_secret: "a", signing_secrets: ["b"] }, "signing_secret"],
  [{ url: "https://a.test", signing_secrets: [] }, "signing_secrets"],
  [{ url: "https://a.test", signing_secrets: ["a", "whsec_???"] }, "signing_secrets"],
  [{ url: "https://a.test", rate_limit: { requests_per_second: 0 } }, "rate_limit"],
  [{ url: "ftp://a.test" }, "url"],
  [{ url: "https://me:pw@a.test" }, "url"],
  [{ url: "https://a.test", headers: { "Webhook-Id": "1" } }, "headers"],
  [{ url: "https://a.test", headers: { "bad name": "1" } }, "headers"],
  [{ url: "https://a.test", headers: { a: "line\nbreak" } }, "headers"],
  [{ url: "https://a.test", signing_secret: "whsec_c2hvcnQ=" }, "signing_secret"],
  [{ url: "https://a.test", signing_secret: "whsec_???" }, "signing_secret"],
  [{ url: "https://a.test", batch: { max_events: 0 } }, "batch"],
  [{ url: "https://a.test", colour: "red" }, undefined],
])("settings %j are refused where they are wrong", (settings, field) => {
  const parsed = webhook.settings.safeParse(settings);
  expect(parsed.error?.issues[0]?.path[0]).toBe(field);
});

const shapedRequest = ($request: object) => aRequest({ shaped: true }, [aShapedLine($request)]);

test("a shaped request goes to its own url with its own headers and body over those of the settings, signed as it is sent", async () => {
  CLOCK.advance(Date.now() - CLOCK.now());
  const sink = await aSink(() => ({}));
  const settings = { url: `${sink.url}/in`, method: "PUT", headers: { "X-From": "edge", "X-Kept": "1" } };
  const $request = {
    url: `${sink.url}/other?a=1`,
    headers: { "x-from": "script", "Content-Type": "text/csv" },
    body: "a;b\nä;1",
  };
  await deliver("webhook", settings, { signing_secret: SECRET, authorization: "Bearer t" }, shapedRequest($request));
  const { method, path, headers, body } = sink.received[0]!;
  expect([method, path, body]).toEqual(["PUT", "/other?a=1", "a;b\nä;1"]);
  expect(headers).toMatchObject({
    ...{ "x-from": "script", "x-kept": "1", "content-type": "text/csv", authorization: "Bearer t" },
    "webhook-id": anEvent().uuid,
  });
  // It parses what it has verified.
  const json = shapedRequest({ body: { ok: true } });
  await deliver("webhook", settings, { signing_secret: SECRET }, json);
  const second = sink.received[1]!;
  expect(new Webhook(SECRET).verify(second.body, second.headers as Record<string, string>)).toEqual({ ok: true });
  expect(second.headers["content-type"]).toBe("application/json");
});

test("the settings' authorization goes to the settings' origin only (invariant 8)", async () => {
  const own = await aSink(() => ({}));
  const other = await aSink(() => ({}));
  const send = (url: string) =>
    deliver("webhook", { url: own.url }, { authorization: "Bearer t" }, shapedRequest({ url, body: "b" }));
  await send(`${own.url}/elsewhere`);
  await send(other.url);
  expect(own.received[0]?.headers.authorization).toBe("Bearer t");
  expect(other.received[0]?.headers).not.toHaveProperty("authorization");
  expect(other.received[0]?.headers["content-type"]).toBe("text/plain;charset=utf-8");
});

test.each([
  [{ url: "ftp://a.test/" }, "neither http nor https"],
  [{ url: "file:///etc/passwd" }, "neither http nor https"],
  [{ url: "https://me:hush@a.test/" }, "user name or password"],
  [{ url: "/relative" }, "is not a URL"],
  [{ url: 7 }, "is not a URL"],
  [{ headers: { "Webhook-Signature": "v1,x" } }, '"Webhook-Signature", which Headwater sets itself'],
  [{ headers: { "content-length": "1" } }, "which Headwater sets itself"],
  [{ headers: { Host: "other.test" } }, "which Headwater sets itself"],
  [{ headers: { Authorization: "Bearer hush" } }, "set the destination's authorization instead"],
  [{ headers: { "bad name": "1" } }, "no name of a header"],
  [{ headers: { a: "line\nbreak" } }, "not printable ASCII"],
  [{ headers: ["a"] }, "not an object"],
])("a script that gives %j makes a dead letter, and nothing leaves", async ($request, reason) => {
  const sink = await aSink(() => ({}));
  const [outcome] = await deliver("webhook", { url: sink.url }, {}, shapedRequest($request));
  expect(outcome).toMatchObject({ result: "dead", reason: expect.stringContaining(reason) });
  expect(JSON.stringify(outcome)).not.toContain("hush");
  expect(sink.received).toEqual([]);
});

test("410 from an address that the script named ends that event alone; from the destination's own it switches it off", async () => {
  const sink = await aSink(() => ({ status: 410 }));
  const send = ($request: object) => deliver("webhook", { url: sink.url }, {}, shapedRequest($request));
  expect(await send({ url: `${sink.url}/gone` })).toMatchObject([{ result: "dead", status: 410 }]);
  expect(await send({ body: "b" })).toMatchObject([{ result: "disable", status: 410 }]);
});

test.each([401, 403])(
  "%i makes dead letters: what a webhook refuses is about the event or the settings",
  async (status) => {
    const sink = await aSink(() => ({ status }));
    expect((await deliver("webhook", { url: sink.url }, {}))[0]).toMatchObject({ result: "dead", status });
  },
);
