import { z } from "zod";
import { commonSettings, timeoutSetting, urlSetting } from "./common-settings.ts";
import { HEADER_NAME, HEADER_VALUE } from "./header-rules.ts";
import type { BodyFormat } from "./webhook-body.ts";
import { signingSecretProblem } from "./webhook-signature.ts";
import { isPerEvent, templateProblem, urlTemplateProblem } from "./webhook-template.ts";

/** Written by us, or by HTTP itself; a static header of the same name would break the request or its signature. */
const RESERVED_HEADERS =
  /^(webhook-(id|timestamp|signature)|content-(type|length|encoding)|host|connection|transfer-encoding|authorization)$/i;

/** A rotation has two; the rest is for receivers that rotate at their own pace. */
const SIGNING_SECRETS_MAX_COUNT = 5;

/** A text that `problemOf` finds nothing wrong with. */
const checked = (text: z.ZodString, problemOf: (value: string) => string | null) =>
  text.superRefine((value, ctx) => {
    const problem = problemOf(value);
    if (problem !== null) ctx.addIssue({ code: "custom", message: problem });
  });

const headersSchema = z.record(
  z
    .string()
    .regex(HEADER_NAME, "must be a header name")
    .refine((name) => !RESERVED_HEADERS.test(name), "is a header that Headwater sets itself"),
  checked(z.string().regex(HEADER_VALUE, "must be printable ASCII"), templateProblem),
);

const credential = z.string().min(1).regex(HEADER_VALUE, "must be printable ASCII");

const authSchema = z
  .discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("basic"),
      // RFC 7617: the first colon ends the user name.
      username: z.string().regex(/^[^:]*$/, "must not hold a colon"),
      password: z.string(),
    }),
    z.strictObject({ type: z.literal("bearer"), token: credential }),
  ])
  .optional()
  .describe(
    'Authorization header: `{ "type": "basic", "username", "password" }` or `{ "type": "bearer", "token" }`; password and token are secret',
  );

const secretSchema = checked(z.string(), signingSecretProblem);

const fields = z.strictObject({
  url: urlSetting
    .superRefine((url, ctx) => {
      const problem = urlTemplateProblem(url);
      if (problem !== null) ctx.addIssue({ code: "custom", message: problem });
    })
    .describe("Where events are sent; may hold {team}, {token}, {event}, {distinct_id} and {uuid} behind the host"),
  method: z.enum(["POST", "PUT", "PATCH"]).default("POST").describe("HTTP method of every request"),
  headers: headersSchema.default({}).describe("Sent with every request, with the same names in braces; not secret"),
  format: z
    .enum(["array", "event", "ndjson", "form"] satisfies BodyFormat[])
    .optional()
    .describe("The body; without it `event` where `batch.max_events` is 1, else `array`"),
  compression: z.enum(["none", "gzip"]).default("none").describe("Of the body; what is signed is the text before it"),
  auth: authSchema,
  authorization: z
    .string()
    .regex(HEADER_VALUE, "must be printable ASCII")
    .optional()
    .describe("Value of the Authorization header, instead of `auth`; secret"),
  signing_secret: secretSchema.optional().describe("Key of the Standard Webhooks signature: whsec_… or any text"),
  signing_secrets: z
    .array(secretSchema)
    .min(1)
    .max(SIGNING_SECRETS_MAX_COUNT)
    .optional()
    .describe("Instead of it, for a rotation: the newest first, each signs; secret"),
  batch: z
    .strictObject({
      max_events: z.int().min(1).max(1_000).default(100).describe("Events in one request"),
      max_bytes: z.int().min(1_000).max(1_000_000).default(1_000_000).describe("Bytes of events in one request"),
      max_wait_ms: z.int().min(0).max(60_000).default(1_000).describe("How long a request may wait to be filled"),
    })
    .prefault({}),
  // Six connections may wait for an answer in one Durable Object; two are left for the database and the configuration.
  concurrency: z.int().min(1).max(6).default(4).describe("Requests under way at once"),
  ordered: z
    .boolean()
    .default(false)
    .describe("Each user's events in order: what failed holds back later events of the same `distinct_id`"),
  timeout_ms: timeoutSetting,
  ...commonSettings,
});

export type WebhookSettings = z.infer<typeof fields>;

export const webhookSettings = fields.superRefine((settings, ctx) => {
  const refuse = (path: PropertyKey[], message: string) => ctx.addIssue({ code: "custom", path, message });
  if (settings.auth !== undefined && settings.authorization !== undefined) {
    refuse(["authorization"], "says the same as auth: remove one of them");
  }
  if (settings.signing_secret !== undefined && settings.signing_secrets !== undefined) {
    refuse(["signing_secret"], "belongs into signing_secrets where there are several: remove it here");
  }
  if (settings.batch.max_events === 1) return;
  const single = "needs batch.max_events to be 1";
  if (settings.format === "event" || settings.format === "form") {
    refuse(["format"], `"${settings.format}" is one event a request: it ${single}`);
  }
  if (isPerEvent(settings.url)) refuse(["url"], `differs from event to event: it ${single}`);
  for (const [name, value] of Object.entries(settings.headers)) {
    if (isPerEvent(value)) refuse(["headers", name], `differs from event to event: it ${single}`);
  }
});

/** The format in force. */
export function formatOf({ format, batch }: WebhookSettings): BodyFormat {
  return format ?? (batch.max_events === 1 ? "event" : "array");
}

/** All secrets that sign, the newest first. */
export function signingSecretsOf({
  signing_secret: one,
  signing_secrets: several,
}: WebhookSettings): readonly string[] {
  return several ?? (one === undefined ? [] : [one]);
}
