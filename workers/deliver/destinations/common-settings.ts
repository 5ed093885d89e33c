import { z } from "zod";

/** Settings that every kind has; the outbox reads them. */
export interface CommonSettings {
  retry: z.infer<typeof retrySchema>;
  backlog: z.infer<typeof backlogSchema>;
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

export const commonSettings = { retry: retrySchema, backlog: backlogSchema };

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
