import { rename } from "headwater:object";
import type { Context, Event } from "headwater";

interface Inputs {
  events: Record<string, string>;
  properties: Record<string, string>;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { events, properties } = ctx.inputs;
  if (Object.hasOwn(events, event.event)) event.event = events[event.event] as string;
  event.properties = rename(event.properties, properties);
  return event;
}
