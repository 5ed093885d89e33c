import { censorPath, normalizeUrl, parseUrl, removeQuery } from "headwater:url";
import type { Context, Event } from "headwater";

interface Inputs {
  properties: string[];
  censor_ids: boolean;
  censor_after: string[];
  remove_query: string[];
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { properties, censor_ids, censor_after, remove_query } = ctx.inputs;
  for (const name of properties) {
    const value = event.properties[name];
    if (typeof value !== "string" || parseUrl(value) === null) continue;
    const url = censorPath(normalizeUrl(value), { ids: censor_ids, after: censor_after });
    event.properties[name] = remove_query.length === 0 ? url : removeQuery(url, remove_query);
  }
  return event;
}
