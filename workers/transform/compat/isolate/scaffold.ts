/** The values of PostHog's plugin scaffold; its types are gone by now. */

/** There, it has a failed task run again. Here, it is an error like any other. */
export class RetryError extends Error {
  override readonly name = "RetryError";
}
