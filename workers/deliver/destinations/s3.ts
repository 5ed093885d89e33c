import { z } from "zod";
import { archiveLines, gzip } from "./archive-lines.ts";
import { commonSettings, urlSetting } from "./common-settings.ts";
import type { DestinationKind, OutboundRequest, Outcome, SendDeps, Sent } from "./destination.ts";
import { noAnswer, readStart, retryAfterMs } from "./http-answer.ts";
import { S3Client, s3Error } from "./s3-client.ts";
import { objectKey, prefixProblem } from "./s3-key.ts";

/** Uncompressed events of one object: what an outbox holds in memory of it, several times. */
const MAX_OBJECT_BYTES = 32_000_000;
const DEFAULT_OBJECT_BYTES = 8_000_000;
/** Their tokens stand in one row. */
const MAX_OBJECT_COUNT = 20_000;

const settings = z.strictObject({
  endpoint: urlSetting.describe("Address of the store, without the bucket"),
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{1,62}$/, "must be a bucket name")
    .describe("Bucket that objects are written to"),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, "must be a region")
    .default("us-east-1")
    .describe("Region of the signature; auto for R2"),
  addressing: z.enum(["path", "host"]).default("path").describe("Whether the bucket stands in the path or in the host"),
  access_key_id: z.string().min(1).describe("Name of the access key; secret"),
  secret_access_key: z.string().min(1).describe("The access key; secret"),
  prefix: z
    .string()
    .max(500)
    .superRefine((prefix, ctx) => {
      const problem = prefixProblem(prefix);
      if (problem !== null) ctx.addIssue({ code: "custom", message: problem });
    })
    .default("{team}/{destination}/{yyyy}/{mm}/{dd}/{hh}/")
    .describe("What keys begin with; times are those of an object's earliest event, in UTC"),
  compression: z.enum(["gzip", "none"]).default("gzip").describe("How objects are written"),
  batch: z
    .strictObject({
      max_events: z.int().min(1).max(MAX_OBJECT_COUNT).default(10_000).describe("Events in one object"),
      max_bytes: z
        .int()
        .min(1_000)
        .max(MAX_OBJECT_BYTES)
        .default(DEFAULT_OBJECT_BYTES)
        .describe("Bytes of events in one object, before compression"),
      max_wait_ms: z.int().min(0).max(3_600_000).default(300_000).describe("How long an object may wait to be filled"),
    })
    .prefault({}),
  timeout_ms: z.int().min(1_000).max(300_000).default(60_000).describe("How long one attempt may take"),
  ...commonSettings,
});

export type S3Settings = z.infer<typeof settings>;

export const s3: DestinationKind<S3Settings> = {
  kind: "s3",
  settings,
  secrets: ["access_key_id", "secret_access_key"],
  ordered: () => false,
  limits: ({ batch, timeout_ms }) => ({
    ...{ maxEvents: batch.max_events, maxBytes: batch.max_bytes, maxWaitMs: batch.max_wait_ms },
    // One object in memory at a time.
    ...{ concurrency: 1, timeoutMs: timeout_ms, fixedCut: true },
  }),
  send,
};

async function send(request: OutboundRequest, config: S3Settings, deps: SendDeps): Promise<Sent> {
  const { team, destination, id, acceptedAt } = request;
  const { text, span } = archiveLines(request.events, request.tokens);
  const isGzip = config.compression === "gzip";
  const extension = isGzip ? "ndjson.gz" : "ndjson";
  const at = span ?? { from: acceptedAt, to: acceptedAt };
  const key = objectKey(config.prefix, { team, destination }, at, id, extension);
  const body = isGzip ? await gzip(text) : (new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>);
  const type = isGzip ? "application/gzip" : "application/x-ndjson";
  const { host } = new URL(config.endpoint);
  try {
    const response = await new S3Client(config, deps).put(key, body, type, deps.signal);
    if (!response.ok) return { outcomes: await refused(response, host, deps) };
    void response.body?.cancel().catch(() => undefined);
    return { outcomes: { result: "delivered" } };
  } catch (error) {
    return { outcomes: noAnswer(error, deps.signal, host) };
  }
}

/** Whatever a store refuses, it is never about an event: a key, a bucket or a region that is wrong is mended and tried again. */
async function refused(response: Response, host: string, deps: SendDeps): Promise<Outcome> {
  const { status } = response;
  const body = await readStart(response);
  const afterMs = retryAfterMs(response.headers.get("retry-after"), deps.clock.now());
  const reason = `${host} did not take the object: ${s3Error(status, body)}`;
  return {
    ...{ result: "retry", reason, status, response: body },
    ...(afterMs === undefined ? {} : { afterMs }),
    ...(status === 429 || /<Code>SlowDown<\/Code>/.test(body) ? { throttled: true } : {}),
  };
}
