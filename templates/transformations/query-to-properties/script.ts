import { queryParams } from "headwater:url";
import type { Context, Event } from "headwater";

interface Inputs {
  parameters: string[];
  prefix: string;
  initial: boolean;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { parameters, prefix, initial } = ctx.inputs;
  const url = event.properties.$current_url;
  if (typeof url !== "string") return event;
  const query = queryParams(url);
  for (const name of parameters) {
    const value = Object.hasOwn(query, name) ? query[name] : undefined;
    if (value === undefined) continue;
    event.properties[prefix + name] = value;
    if (initial) event.$set_once = { [`initial_${prefix}${name}`]: value, ...event.$set_once };
  }
  return event;
}
