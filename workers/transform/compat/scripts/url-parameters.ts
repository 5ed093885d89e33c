import type { Meta, PluginEvent } from "@posthog/plugin-scaffold";
import { URL } from "url";

function names({ config }: Meta): Set<string> {
  return new Set((config.parameters as string).split(",").map((name) => name.trim()));
}

export function processEvent(event: PluginEvent, meta: Meta): PluginEvent {
  const { config } = meta;
  if (!event.properties?.$current_url) return event;
  const url = new URL(event.properties.$current_url);
  for (const [key, value] of url.searchParams) {
    if (!names(meta).has(key)) continue;
    const name = `${config.prefix || ""}${key}${config.suffix || ""}`;
    event.properties[name] = value;
    if (config.setAsUserProperties === "true") event.$set = { ...event.$set, [name]: value };
    if (config.setAsInitialUserProperties === "true") {
      event.$set_once = { ...event.$set_once, [`initial_${name}`]: value };
    }
  }
  return event;
}
