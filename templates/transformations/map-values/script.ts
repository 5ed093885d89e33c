import { getPath, setPath } from "headwater:path";
import type { Context, Event } from "headwater";

interface Inputs {
  property: string;
  values: Record<string, unknown>;
  otherwise: string;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { property, values, otherwise } = ctx.inputs;
  const value = getPath(event.properties, property);
  if (value === undefined || value === null || typeof value === "object") return event;
  const key = String(value);
  if (Object.hasOwn(values, key)) setPath(event.properties, property, values[key]);
  else if (otherwise !== "") setPath(event.properties, property, otherwise);
  return event;
}
