import { geoProperties } from "headwater:geo";
import type { Context, Event } from "headwater";

interface Inputs {
  person: boolean;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  if (event.properties.$geoip_disable === true) return event;
  const geo = geoProperties(event);
  Object.assign(event.properties, geo);
  if (!ctx.inputs.person || Object.keys(geo).length === 0) return event;
  event.$set = { ...event.$set, ...geo };
  event.$set_once = { ...event.$set_once };
  for (const [name, value] of Object.entries(geo)) event.$set_once[name.replace("$", "$initial_")] ??= value;
  return event;
}
