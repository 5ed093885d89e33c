import { userAgentProperties } from "headwater:user-agent";
import type { Context, Event } from "headwater";

interface Inputs {
  property: string;
  remove: boolean;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { property, remove } = ctx.inputs;
  const userAgent = event.properties[property] ?? event.properties.$raw_user_agent;
  // What the SDK has found out itself stays.
  event.properties = { ...userAgentProperties(userAgent), ...event.properties };
  if (remove) {
    delete event.properties[property];
    delete event.properties.$raw_user_agent;
  }
  return event;
}
