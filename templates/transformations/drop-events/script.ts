import { getPath } from "headwater:path";
import type { Context, Event } from "headwater";

interface Inputs {
  events: string[];
  property: string;
  values: unknown[];
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { events, property, values } = ctx.inputs;
  if (events.length > 0 && !events.some((pattern) => matches(pattern, event.event))) return event;
  if (property === "") return events.length > 0 ? null : event;
  const value = getPath(event.properties, property);
  const meant = values.length === 0 ? value !== undefined : values.includes(value);
  return meant ? null : event;
}

function matches(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === name;
  const last = rest.pop() ?? "";
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > name.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}
