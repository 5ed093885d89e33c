import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { aRequest, aSink, CLOCK, deliver, runDestinationTests } from "./conformance.ts";
import { webhook } from "./webhook.ts";
import { sign } from "./webhook-signature.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

runDestinationTests({
  kind: "webhook",
  settings: (url) => ({ url }),
  secrets: { signing_secret: SECRET, authorization: "Bearer hush-hush" },
  success: () => ({ status: 204 }),
  perRecord: null,
});

test("the signature is the specification's own example", async () => {
  const body = new TextEncoder().encode('{"test": 2432232314}');
  expect(await sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, body)).toEqual({
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
