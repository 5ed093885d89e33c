import { z } from "zod";

/** Settings that every kind has; the outbox reads them. */
export interface CommonSettings {
  retry: z.infer<typeof retrySchema>;
  backlog: z.infer<typeof backlogSchema>;
  rate_limit: z.infer<typeof rateLimitSchema>;
  auto_pause: z.infer<typeof autoPauseSchema>;
}

const HOUR_MS = 3_600_000;
const GIB = 1024 ** 3;

/** Half of what a Durable Object may store (10 GB), less what its dead letters may take. */
export const DEFAULT_BACKLOG_BYTES = 2 * GIB;
const MAX_BACKLOG_BYTES = 4 * GIB;

const retrySchema = z
  .strictObject({
    base_ms: z
      .int()
      .min(10)
      .max(HOUR_MS)
      .default(1_000)
      .describe("Upper bound of the first wait; it doubles each time"),
    max_delay_ms: z.int().min(10).max(HOUR_MS).default(60_000).describe("Upper bound of any wait"),
    max_age_ms: z
      .int()
      .min(1_000)
      .max(14 * 24 * HOUR_MS)
      .default(24 * HOUR_MS)
      .describe("An event that is not delivered by then becomes a dead letter"),
  })
  .prefault({});

const backlogSchema = z
  .strictObject({
    max_bytes: z
      .int()
      .min(1_000_000)
      .max(MAX_BACKLOG_BYTES)
      .default(DEFAULT_BACKLOG_BYTES)
      .describe("Undelivered events beyond this wait in the lane"),
  })
  .prefault({});

const DAY_MS = 24 * HOUR_MS;

const autoPauseSchema = z
  .strictObject({
    after_ms: z
      .int()
      .min(0)
      .max(90 * DAY_MS)
      // A long weekend without anybody who looks, and a working day more.
      .default(5 * DAY_MS)
      .describe("After so long without a success sending stops until somebody resumes it; 0: never"),
  })
  .prefault({});

/** One in a hundred seconds, and more than one outbox sends. */
const perSecond = z.number().min(0.01).max(100_000);

const rateLimitSchema = z
  .strictObject({
    requests_per_second: perSecond.optional().describe("Requests in a second, on average; no more than that at once"),
    events_per_second: perSecond.optional().describe("Events in a second, likewise; a request holds no more of them"),
  })
  .prefault({});

export const commonSettings = {
  retry: retrySchema,
  backlog: backlogSchema,
  rate_limit: rateLimitSchema,
  auto_pause: autoPauseSchema,
};

/** The attempt's time-out; a Durable Object's outbound request may take longer, but holds a slot meanwhile. */
export const timeoutSetting = z.int().min(100).max(60_000).default(10_000).describe("How long one attempt may take");

/** An address to POST to. Credentials in it would be stored in the clear and are refused. */
export const urlSetting = z
  .url({ protocol: /^https?$/, error: "must be an http or https URL" })
  .refine((url) => !hasCredentials(url), "must not hold a user name or password: they belong into their own fields");

function hasCredentials(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.username !== "" || url.password !== "";
}
