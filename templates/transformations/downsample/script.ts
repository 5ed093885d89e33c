import { isSampled } from "headwater:sample";
import type { Context, Event } from "headwater";

interface Inputs {
  share: number;
  by: "user" | "event";
  events: string[];
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { share, by, events } = ctx.inputs;
  if (events.length > 0 && !events.includes(event.event)) return event;
  return isSampled(by === "user" ? event.distinct_id : event.uuid, share) ? event : null;
}
