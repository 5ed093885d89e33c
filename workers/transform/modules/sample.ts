/** `headwater:sample`: the same users that a filter's `{ "sample": … }` takes. */
import { sharePoint as pointOf } from "../../../shared/share-point.ts";

/** Where a text stands in [0, 1); the same text stands in the same place for ever. */
export function sharePoint(text: string): number {
  return pointOf(String(text));
}

/** Whether a user, or whatever the text names, is in this share of all (0 to 1); always in or always out. */
export function isSampled(text: string, share: number): boolean {
  return pointOf(String(text)) < share;
}
