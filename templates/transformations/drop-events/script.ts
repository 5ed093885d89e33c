import { getPath } from "headwater:path";
import { matchesPattern } from "headwater:pattern";
import type { Context, Event } from "headwater";

interface Inputs {
  events: string[];
  property: string;
  values: unknown[];
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { events, property, values } = ctx.inputs;
  if (events.length > 0 && !events.some((pattern) => matchesPattern(event.event, pattern))) return event;
  if (property === "") return events.length > 0 ? null : event;
  const value = getPath(event.properties, property);
  const meant = values.length === 0 ? value !== undefined : values.includes(value);
  return meant ? null : event;
}
