import { z } from "zod";
import { SourceScriptSchema } from "./config-scripts.ts";

/** Lists are looked through for each event. */
const LIST_MAX_COUNT = 1_000;
const ORIGINS_MAX_COUNT = 100;
const SECRET_MAX_CHARACTERS = 1_024;
const EVENT_MAX_BYTES = 1_048_576;

/** Ways of capture that a source may be held to; `any` takes all but `webhook`. */
export const SOURCE_PROTOCOLS = ["any", "posthog", "segment", "pixel", "webhook"] as const;

const PatternListSchema = z
  .array(z.string().min(1))
  .min(1)
  .max(LIST_MAX_COUNT)
  .describe("Event names; * stands for any run of characters.");

/** Apps have schemes of their own, such as capacitor://localhost; a port that the scheme has anyway browsers leave out. */
const OriginSchema = z
  .string()
  .regex(
    /^(\*|[a-z][a-z0-9+.-]*:\/\/((\*\.)?[a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?)$/,
    "must be an origin, such as https://example.com or https://*.example.com",
  )
  .refine((origin) => !/^(http:.*:80|https:.*:443)$/.test(origin), "leave out the port: browsers do not send this one");

/** Such a secret would let no request in, and only the first request would tell. */
function isBrokenBase64(secret: string): boolean {
  const [, base64] = /^whsec_(.*)$/s.exec(secret) ?? [];
  if (base64 === undefined) return false;
  try {
    return atob(base64) === "";
  } catch {
    return true;
  }
}

/** How a webhook source proves that a request comes from who it should. */
const VerifySchema = z
  .strictObject({
    scheme: z
      .enum(["secret", "standard-webhooks", "github", "stripe"])
      .describe("secret: the header holds the secret itself. The others: the signature of that scheme."),
    secret: z.string().min(1).max(SECRET_MAX_CHARACTERS).describe("Stored encrypted and never shown."),
    header: z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "must be a header name")
      .optional()
      .describe("For scheme secret: the header that holds it; authorization if absent, with or without Bearer."),
  })
  .refine(({ scheme, secret }) => scheme !== "standard-webhooks" || !isBrokenBase64(secret), {
    path: ["secret"],
    message: 'must be base64 after "whsec_"',
  });

export function sourceSchema(id: z.ZodString, token: z.ZodType<string>) {
  return z.strictObject({
    id: id.describe(
      "Names the source in the API, logs and metrics, and becomes the event's source; unique in the team.",
    ),
    protocol: z
      .enum(SOURCE_PROTOCOLS)
      .default("any")
      .describe("What it takes; requests of other protocols are refused."),
    tokens: z
      .array(token)
      .max(100)
      .default([])
      .describe("Write keys of this source, unique over all teams. A webhook source without one is reached by its id."),
    enabled: z.boolean().default(true).describe("Off: requests are answered as taken, and their events dropped."),
    origins: z
      .array(OriginSchema)
      .min(1)
      .max(ORIGINS_MAX_COUNT)
      .optional()
      .describe("Pages that browsers may send from; requests without an Origin header are servers and are let in."),
    sample: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe("Share of users, by hash of distinct_id, whose events are kept."),
    events: z
      .strictObject({ allow: PatternListSchema.optional(), deny: PatternListSchema.optional() })
      .optional()
      .describe("Which events are kept, by name; deny wins."),
    max_event_bytes: z
      .int()
      .min(1_000)
      .max(EVENT_MAX_BYTES)
      .optional()
      .describe("Larger events are refused as too large."),
    ip: z
      .enum(["keep", "mask", "drop"])
      .default("keep")
      .describe("What becomes of the client's address. mask: to /24 and /48."),
    verify: VerifySchema.optional().describe("For protocol webhook: how requests prove where they come from."),
    transformation: SourceScriptSchema.optional().describe(
      "Runs on this source's events only, before the team's transformations.",
    ),
  });
}

/** Names no field: holds for every event of the team. */
export const RestrictionSchema = z.strictObject({
  action: z
    .enum(["drop", "skip_person_processing", "dead_letter"])
    .describe(
      "drop: answered as taken, then dropped. skip_person_processing: sets $process_person_profile to false. dead_letter: goes to the quarantine instead of the destinations.",
    ),
  tokens: z.array(z.string().min(1)).max(LIST_MAX_COUNT).optional(),
  distinct_ids: z.array(z.string().min(1)).max(LIST_MAX_COUNT).optional(),
  events: z.array(z.string().min(1)).max(LIST_MAX_COUNT).optional().describe("Names, exactly."),
  uuids: z.array(z.string().min(1)).max(LIST_MAX_COUNT).optional(),
});

const DailySchema = z.int().min(0).optional();

/** Events a day (UTC) beyond which more are refused in the protocol's own words. */
export const QuotaSchema = z.strictObject({
  events_per_day: DailySchema.describe("All events but recordings and exceptions."),
  recordings_per_day: DailySchema.describe("Snapshots of session recordings."),
  exceptions_per_day: DailySchema.describe("$exception events."),
});

export type SourceConfig = z.infer<ReturnType<typeof sourceSchema>>;
export type RestrictionConfig = z.infer<typeof RestrictionSchema>;
export type QuotaConfig = z.infer<typeof QuotaSchema>;
