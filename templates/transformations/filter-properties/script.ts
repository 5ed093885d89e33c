import { getPath, hasPath, setPath, unsetPath } from "headwater:path";
import type { Context, Event } from "headwater";

interface Inputs {
  mode: "keep" | "remove";
  properties: string[];
  person: boolean;
}

type Properties = Record<string, unknown>;

export function transform(event: Event, ctx: Context<Inputs>) {
  const { mode, properties, person } = ctx.inputs;
  const filter = mode === "keep" ? keep : remove;
  event.properties = filter(event.properties, properties);
  if (!person) return event;
  if (event.$set !== undefined) event.$set = filter(event.$set, properties);
  if (event.$set_once !== undefined) event.$set_once = filter(event.$set_once, properties);
  return event;
}

function keep(from: Properties, paths: string[]): Properties {
  const kept: Properties = {};
  for (const path of paths) if (hasPath(from, path)) setPath(kept, path, getPath(from, path));
  return kept;
}

function remove(from: Properties, paths: string[]): Properties {
  for (const path of paths) unsetPath(from, path);
  return from;
}
