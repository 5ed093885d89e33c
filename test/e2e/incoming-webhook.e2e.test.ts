import { createHmac } from "node:crypto";
import { gzipSync } from "node:zlib";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const GITHUB_SECRET = "It's a Secret to Everybody";
const STRIPE_SECRET = "whsec_stripe_test";
const STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PLAIN_SECRET = "a shared secret";

const GITHUB_SCRIPT = `
  interface Commit { id: string; message: string }
  interface Push { ref: string; pusher: { name: string }; commits: Commit[] }
  interface Received { distinct_id: string; properties: { headers: Record<string, string>; body: Push } }

  export function transform(event: Received) {
    const { headers, body } = event.properties;
    if (headers["x-github-event"] !== "push") return null;
    const push = { ...event, event: "push", distinct_id: body.pusher.name, properties: { ref: body.ref } };
    return [push, ...body.commits.map((commit) => ({ ...push, event: "commit", properties: { ...commit } }))];
  }`;

const STRIPE_SCRIPT = `
  interface Invoice { customer: string; amount_paid: number }
  interface Received { properties: { body: { type: string; data: { object: Invoice } } } }

  export function transform(event: Received) {
    const { type, data } = event.properties.body;
    return { ...event, event: type, distinct_id: data.object.customer, properties: { amount: data.object.amount_paid / 100 } };
  }`;

const PUSH = {
  ref: "refs/heads/main",
  pusher: { name: "ada" },
  commits: [
    { id: "c0ffee", message: "first ☕" },
    { id: "decade", message: "second" },
  ],
};
const INVOICE = { id: "evt_1", type: "invoice.paid", data: { object: { customer: "cus_1", amount_paid: 1_250 } } };

let sink: WebhookSink;
let headwater: Headwater;

const configOf = (stripeScript: string) => {
  const source = { protocol: "webhook" };
  return {
    teams: [
      {
        id: "acme",
        tokens: ["phc_acme"],
        sources: [
          {
            ...{ ...source, id: "github", tokens: ["whk_github"] },
            verify: { scheme: "github", secret: GITHUB_SECRET },
            transformation: { code: GITHUB_SCRIPT },
          },
          {
            ...{ ...source, id: "stripe", tokens: ["whk_stripe"] },
            verify: { scheme: "stripe", secret: STRIPE_SECRET },
            transformation: { code: stripeScript, on_error: "quarantine" },
          },
          { ...source, id: "standard", verify: { scheme: "standard-webhooks", secret: STANDARD_SECRET } },
          { ...source, id: "plain", verify: { scheme: "secret", header: "X-Key", secret: PLAIN_SECRET } },
          { ...source, id: "open" },
        ],
        destinations: [{ id: "hook", kind: "webhook", url: sink.url }],
      },
    ],
  };
};

beforeAll(async () => {
  sink = await startWebhookSink();
  headwater = await startHeadwater({ config: configOf(STRIPE_SCRIPT) });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.stop();
});

interface Answer {
  status: number;
  success: boolean;
  uuid?: string;
  code?: string;
}

async function post(source: string, body: string | Uint8Array, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${headwater.capture}/w/${source}`, {
    method: "POST",
    body: typeof body === "string" ? body : Uint8Array.from(body),
    headers: { "content-type": "application/json", ...headers },
  });
  return { status: response.status, ...((await response.json()) as Omit<Answer, "status">) };
}

const hmac = (secret: string, content: string) => createHmac("sha256", secret).update(content).digest("hex");

function push(delivery: string, body = JSON.stringify(PUSH), secret = GITHUB_SECRET) {
  const signature = `sha256=${hmac(secret, body)}`;
  const headers = { "x-github-event": "push", "x-github-delivery": delivery, "x-hub-signature-256": signature };
  return post("whk_github", body, headers);
}

function invoice(body: string, ageS = 0) {
  const at = Math.floor(Date.now() / 1_000) - ageS;
  return post("whk_stripe", body, { "stripe-signature": `t=${at},v1=${hmac(STRIPE_SECRET, `${at}.${body}`)}` });
}

const arrived = (source: string) =>
  sink.accepted.flatMap(({ events }) => events).filter((event) => event.source === source);

/** `accepted`: what the outbox has taken in all, events that scripts made included. */
async function quiet(accepted: number) {
  const books = await headwater.waitForQuiet("acme", ["hook"], { accepted });
  expect(Object.values(books).map(imbalance)).toEqual([0]);
}

it("a push of GitHub and an invoice of Stripe become what the sources' scripts make of them", async () => {
  expect(await push("72d3162e-cc78-11e3-81ab-4c9367dc0958")).toMatchObject({ status: 200, success: true });
  expect(await invoice(JSON.stringify(INVOICE))).toMatchObject({ status: 200, success: true });
  await quiet(4);
  expect(arrived("github")).toMatchObject([
    { event: "push", distinct_id: "ada", properties: { ref: "refs/heads/main" } },
    { event: "commit", distinct_id: "ada", properties: { id: "c0ffee", message: "first ☕" } },
    { event: "commit", distinct_id: "ada", properties: { id: "decade", message: "second" } },
  ]);
  expect(arrived("stripe")).toMatchObject([
    { event: "invoice.paid", distinct_id: "cus_1", properties: { amount: 12.5 } },
  ]);
});

it("a delivery that comes again is taken and not delivered twice (invariant 2)", async () => {
  const [once, again] = [await push("redelivered"), await push("redelivered")];
  expect(again).toEqual(once);
  expect(once.uuid).toMatch(/^[\da-f-]{36}$/);
  expect(await invoice(JSON.stringify(INVOICE), 60)).toMatchObject({ status: 200 });
  await quiet(7);
  expect([arrived("github").length, arrived("stripe").length]).toEqual([6, 1]);
});

it("what proves nothing is refused, and nothing of it is stored", async () => {
  const body = JSON.stringify(PUSH);
  const answers = [
    await push("forged", body, "another secret"),
    await post("whk_github", body, { "x-github-event": "push" }),
    await invoice(JSON.stringify({ ...INVOICE, id: "evt_old" }), 301),
    await post("whk_stripe", body, { "stripe-signature": "t=1" }),
    await post("plain", body, { "x-key": `${PLAIN_SECRET}.` }),
    await post("standard", body, {}),
    await post("whk_nobody", body, {}),
    await post("phc_acme", body, {}),
  ];
  expect(answers.map(({ status, success, code }) => [status, success, code])).toEqual([
    [401, false, "wrong_signature"],
    [401, false, "missing_signature"],
    [401, false, "untimely_signature"],
    [401, false, "malformed_signature"],
    [401, false, "wrong_secret"],
    [401, false, "missing_signature"],
    [401, false, "unknown_token"],
    [403, false, "wrong_protocol"],
  ]);
  await quiet(7);
});

it("any body is kept whole, by its source's id, and without what is secret", async () => {
  const body = '{"userId":"u-1","__proto__":{"a":1}}';
  const at = new Date();
  const standard = {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(STANDARD_SECRET).sign("msg_1", at, body),
  };
  const form = { "content-type": "application/x-www-form-urlencoded", authorization: "Bearer x" };
  const answers = [
    await post("standard", body, standard),
    await post("plain", gzipSync("[1,2]"), { "x-key": PLAIN_SECRET, "content-encoding": "gzip" }),
    await post("open?a=1", "b=2&b=3", form),
    await post("open", "no json", {}),
    await post("open", "", {}),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  await quiet(12);
  const text = JSON.stringify([...arrived("standard"), ...arrived("plain"), ...arrived("open")]);
  expect(text).toContain('"body":{"userId":"u-1","__proto__":{"a":1}}');
  for (const secret of [PLAIN_SECRET, standard["webhook-signature"], "Bearer x"]) expect(text).not.toContain(secret);
  expect(arrived("standard")[0]).toMatchObject({ event: "webhook", distinct_id: "u-1" });
  expect(arrived("plain")[0]).toMatchObject({ distinct_id: "plain", properties: { body: [1, 2] } });
  expect(arrived("open").map(({ properties: { query, body, body_error } }) => [query, body, body_error])).toEqual([
    [{ a: "1" }, { b: ["2", "3"] }, undefined],
    [{}, "no json", expect.stringMatching(/^failed to parse request: /)],
    [{}, null, undefined],
  ]);
});

it("what a source's script cannot read goes on unchanged and marked", async () => {
  expect(await push("broken", '{"zen":"Keep it logically awesome."}')).toMatchObject({ status: 200 });
  await quiet(13);
  expect(arrived("github").at(-1)).toMatchObject({
    event: "webhook",
    distinct_id: "github",
    properties: { body: { zen: "Keep it logically awesome." }, $transformations_failed: ["source:github"] },
  });
});

it("what a source's script fails on waits in the quarantine, and becomes what it should once the script is mended (invariant 7)", async () => {
  const { uuid, status } = await invoice('{"id":"evt_2","type":"customer.created","customer":"cus_2"}');
  expect(status).toBe(200);
  const { hook } = await headwater.waitForQuiet("acme", ["hook"], { accepted: 14 });
  expect(hook).toMatchObject({ delivered: 13, dead: 1 });
  const page = await headwater.api("GET", "/api/teams/acme/quarantine?script=source:stripe");
  expect(page).toMatchObject({
    total: 1,
    quarantined: [{ script: "source:stripe", message: expect.stringContaining("TypeError"), event: { uuid } }],
  });
  const mended = STRIPE_SCRIPT.replace(
    "data.object.customer",
    "data?.object.customer ?? event.properties.body.customer",
  )
    .replace("data.object.amount_paid", "(data?.object.amount_paid ?? 0)")
    .replace("type: string; data:", "type: string; customer?: string; data?:");
  await headwater.api("PUT", "/api/config", configOf(mended));
  const replayed = await headwater.api("POST", "/api/teams/acme/quarantine/replay", { script: "source:stripe" });
  expect(replayed).toEqual({ team: "acme", replayed: 1 });
  await sink.received(14);
  expect(arrived("stripe").at(-1)).toMatchObject({ uuid, event: "customer.created", distinct_id: "cus_2" });
});
