import { semverProperties } from "headwater:semver";
import type { Context, Event } from "headwater";

interface Inputs {
  properties: string[];
}

export function transform(event: Event, ctx: Context<Inputs>) {
  for (const name of ctx.inputs.properties) {
    Object.assign(event.properties, semverProperties(name, event.properties[name]));
  }
  return event;
}
