import { gunzipSync } from "node:zlib";
import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { afterAll, beforeAll, expect, it } from "vitest";
import { anHttpSink, type HttpSink, type Received } from "../../workers/deliver/testing/http-sink.ts";
import { type Headwater, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";

const OLD = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PASSWORD = "hush-hush-password";

let sink: HttpSink;
let headwater: Headwater;

const configOf = (signing_secrets: string[]) => ({
  teams: [
    {
      id: "acme",
      tokens: ["phc_acme"],
      destinations: [
        {
          ...{
            id: "hook",
            kind: "webhook",
            url: `${sink.url}/{team}/{distinct_id}`,
            signing_secrets,
            compression: "gzip",
          },
          ...{
            auth: { type: "basic", username: "me", password: PASSWORD },
            format: "ndjson",
            batch: { max_events: 1 },
          },
        },
      ],
    },
  ],
});

beforeAll(async () => {
  sink = await anHttpSink(() => ({}));
  headwater = await startHeadwater({
    config: configOf(["env:HOOK_NEW", "env:HOOK_OLD"]),
    env: { HOOK_NEW: NEW, HOOK_OLD: OLD },
  });
});
afterAll(async () => {
  await headwater?.stop();
  await sink?.close();
});

/** The request that one event becomes. */
async function delivered(): Promise<Received & { text: string }> {
  const before = sink.received.length;
  const batch = [{ event: "signup", distinct_id: "user/1", properties: {} }];
  expect((await headwater.send({ api_key: "phc_acme", batch })).status).toBe(200);
  await until(() => sink.received.length > before, { timeoutMs: 20_000, describe: () => "nothing delivered" });
  const request = sink.received[before] as Received;
  return { ...request, text: gunzipSync(request.raw, { maxOutputLength: 1_000_000 }).toString() };
}

function verifies(secret: string, { text, headers }: { text: string; headers: Received["headers"] }): boolean[] {
  return [Webhook, SvixWebhook].map((Verifier) => {
    try {
      new Verifier(secret).verify(text, headers as Record<string, string>);
      return true;
    } catch {
      return false;
    }
  });
}

it("a request is compressed, authorised, rendered, and signed with the new and the old secret", async () => {
  const request = await delivered();
  expect(request.path).toBe("/acme/user%2F1");
  expect(request.headers).toMatchObject({
    ...{ "content-encoding": "gzip", "content-type": "application/x-ndjson" },
    authorization: `Basic ${btoa(`me:${PASSWORD}`)}`,
  });
  expect(request.text.endsWith("\n")).toBe(true);
  expect(JSON.parse(request.text)).toMatchObject({ event: "signup", distinct_id: "user/1" });
  expect([...verifies(NEW, request), ...verifies(OLD, request)]).toEqual([true, true, true, true]);
});

it("secrets in a list are masked one by one, and a configuration that was read can be sent back (invariant 8)", async () => {
  const { teams } = await headwater.api<{ teams: { version?: number; destinations: Record<string, unknown>[] }[] }>(
    "GET",
    "/api/config",
  );
  const hook = teams[0]?.destinations[0];
  expect(hook?.signing_secrets).toEqual([expect.stringMatching(/^sealed:/), expect.stringMatching(/^sealed:/)]);
  expect(JSON.stringify(hook)).not.toMatch(
    new RegExp(`${PASSWORD}|${OLD.slice(6)}|${NEW.slice(6)}`.replaceAll("+", "\\+")),
  );
  for (const team of teams) delete team.version;
  expect(await headwater.api("PUT", "/api/config", { teams })).toMatchObject({ changed: false });
  const request = await delivered();
  expect([...verifies(NEW, request), ...verifies(OLD, request)]).toEqual([true, true, true, true]);
});

it("a secret that is taken out of the list signs no more", async () => {
  await headwater.api("PUT", "/api/config", configOf([NEW]));
  const request = await delivered();
  expect([...verifies(NEW, request), ...verifies(OLD, request)]).toEqual([true, true, false, false]);
});
