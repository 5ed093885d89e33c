import type { LoadResult } from "./load.ts";

/** A fast refusal must not pass for a fast success. */
export function refuseOtherThan200(result: LoadResult): LoadResult {
  const others = Object.entries(result.statuses).filter(([status]) => status !== "200");
  if (others.length === 0 && result.broken === 0) return result;
  throw new Error(
    `bench: answers other than 200: ${JSON.stringify(result.statuses)}, ${result.broken} broken connections`,
  );
}
