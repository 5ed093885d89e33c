import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeLines } from "../../../shared/ndjson.ts";
import { anEvent } from "../../../shared/testing/builders.ts";
import { anS3Server, S3_KEY, type S3Server } from "../testing/s3-server.ts";
import { archiveLines, withoutToken } from "./archive-lines.ts";
import { aRequest, aSendDeps } from "./conformance.ts";
import type { Outcome } from "./destination.ts";
import { s3 } from "./s3.ts";
import { listFrom, objectKey, prefixProblem, spanOf } from "./s3-key.ts";

const unpacked = (body: Uint8Array) => new TextDecoder().decode(gunzipSync(body, { maxOutputLength: 1e8 }));

let server: S3Server;
beforeEach(async () => {
  server = await anS3Server("arch");
});
afterEach(() => server.close());

const settings = (more: Record<string, unknown> = {}) =>
  s3.settings.parse({ endpoint: server.url, bucket: "arch", ...S3_KEY, ...more });
const at = (second: number) => new Date(Date.UTC(2026, 0, 31, 12, 0, second)).toISOString();
const line = (n: number, second = n) => JSON.stringify(anEvent({ uuid: `u${n}`, received_at: at(second) }));
const put = (more: Record<string, unknown> = {}, lines = [line(1), line(2), line(0)]) =>
  s3.send(aRequest({ id: "salt-1.0-1.3" }, lines), settings(more), aSendDeps());

test("events become one gzip object under the hour of the earliest, each with its token", async () => {
  expect(await put()).toEqual({ outcomes: { result: "delivered" } });
  const key = "arch/acme/out/2026/01/31/12/20260131T120000000Z-20260131T120002000Z-salt-1.0-1.3.ndjson.gz";
  expect([...server.objects.keys()]).toEqual([key]);
  const text = unpacked(server.objects.get(key) as Buffer);
  const events = text
    .trimEnd()
    .split("\n")
    .map((one) => JSON.parse(one));
  expect(events.map(({ uuid, token }) => [uuid, token])).toEqual(["u1", "u2", "u0"].map((uuid) => [uuid, "phc_acme"]));
});

test("a retry of the same request writes the same object with the same bytes", async () => {
  server.trouble.push("lost");
  expect((await put()).outcomes).toMatchObject({ result: "retry" });
  const [first] = [...server.objects.values()];
  await put();
  expect(server.objects.size).toBe(1);
  expect([...server.objects.values()][0]).toEqual(first);
});

test("without compression, another prefix", async () => {
  await put({ compression: "none", prefix: "all/{yyyy}-{mm}-{dd}/team={team}/" }, [line(1)]);
  const [[key, body]] = [...server.objects] as [[string, Buffer]];
  expect(key).toMatch(/^arch\/all\/2026-01-31\/team=acme\/20260131T120001000Z-.*\.ndjson$/);
  expect(body.toString()).toBe(`{"token":"phc_acme",${line(1).slice(1)}\n`);
});

test.each([
  ["a wrong secret", { secret_access_key: "other" }, "SignatureDoesNotMatch"],
  ["a wrong region", { region: "auto" }, "AuthorizationHeaderMalformed"],
  ["a wrong bucket", { bucket: "none" }, "NoSuchBucket"],
])("with %s every event stays, and the reason says what is wrong", async (_, more, code) => {
  const { outcomes } = await put(more);
  expect(outcomes).toMatchObject({ result: "retry", reason: expect.stringContaining(code) });
});

test("a store that asks for patience is left alone for as long as it says", async () => {
  server.trouble.push({ status: 503, code: "SlowDown", retryAfter: 7 });
  expect((await put()).outcomes).toMatchObject({ result: "retry", throttled: true, afterMs: 7_000, status: 503 });
});

test("a store that cannot be reached is tried again, and its secret stays out of the reason (invariant 8)", async () => {
  const { outcomes } = await put({ endpoint: "http://127.0.0.1:9" });
  expect((outcomes as Outcome & { reason: string }).reason).not.toContain(S3_KEY.secret_access_key);
  expect(outcomes).toMatchObject({ result: "retry" });
});

test("host addressing puts the bucket in front of the host", async () => {
  let asked = "";
  const fetch = async (url: string) => {
    asked = url;
    return new Response();
  };
  const config = settings({ endpoint: "https://s3.example.com", addressing: "host" });
  await s3.send(aRequest({}, [line(1)]), config, { ...aSendDeps(), fetch: fetch as never });
  expect(asked).toMatch(/^https:\/\/arch\.s3\.example\.com\/acme\/out\/2026/);
});

test.each([
  ["{team}/{yyyy}/{mm}/", null],
  ["", null],
  ["/x", "begin"],
  ["{year}/", "{year}"],
  ["{mm}/{yyyy}/", "order"],
  ["a b/", "letters"],
])("the prefix %j: %j", (prefix, problem) => {
  if (problem === null) expect(prefixProblem(prefix)).toBeNull();
  else expect(prefixProblem(prefix)).toContain(problem);
});

test("a key says what is in its object, and keys stand in the order of time", () => {
  const names = { team: "acme", destination: "out" };
  const prefix = "{team}/{destination}/{yyyy}/{mm}/{dd}/{hh}/";
  const keys = [1e12, 1e12 + 5_000, 1.1e12].map((from) =>
    objectKey(prefix, names, { from, to: from + 9 }, "id", "ndjson"),
  );
  expect(keys.toSorted()).toEqual(keys);
  expect(keys.map(spanOf)).toEqual([1e12, 1e12 + 5_000, 1.1e12].map((from) => ({ from, to: from + 9 })));
  expect(spanOf("somebody/elses.ndjson")).toBeNull();
  const { startAfter } = listFrom(prefix, names, 1e12);
  expect(keys.every((key) => key > startAfter && key.startsWith(listFrom(prefix, names, 0).prefix))).toBe(true);
});

test.each(['{"uuid":"1"}', "{}", '{"token":"its own","event":"x"}', '{"a":"\\"received_at\\":\\"x"}'])(
  "a token comes off the line again: %s",
  (text) => {
    const [written] = archiveLines(encodeLines([text]), ['t"ok\\en']).text.split("\n");
    expect(withoutToken(written as string)).toEqual({ line: text, token: 't"ok\\en' });
    expect(JSON.parse(written as string)).toMatchObject(text === "{}" ? {} : { token: expect.any(String) });
  },
);
