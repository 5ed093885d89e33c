import { flatten } from "headwater:object";
import type { Context, Event } from "headwater";

interface Inputs {
  separator: string;
  keep: boolean;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { separator, keep } = ctx.inputs;
  const flat: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(event.properties)) {
    const isNested = typeof value === "object" && value !== null && !Array.isArray(value);
    // What begins with $ belongs to the product that reads it.
    if (!isNested || name.startsWith("$")) flat[name] = value;
    else {
      if (keep) flat[name] = value;
      Object.assign(flat, flatten({ [name]: value }, { separator }));
    }
  }
  event.properties = flat;
  return event;
}
