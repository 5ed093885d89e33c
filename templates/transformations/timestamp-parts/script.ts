import { timestampParts } from "headwater:time";
import type { Context, Event } from "headwater";

interface Inputs {
  prefix: string;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const parts = timestampParts(event.timestamp);
  for (const [name, value] of Object.entries(parts ?? {})) event.properties[ctx.inputs.prefix + name] = value;
  return event;
}
