import { hmacSha256 } from "headwater:hash";
import { getPath, setPath } from "headwater:path";
import type { Context, Event } from "headwater";

interface Inputs {
  properties: string[];
  distinct_id: boolean;
}

/** The key is the credential `salt`: without it anybody could hash a list of addresses and compare. */
export function transform(event: Event, ctx: Context<Inputs>) {
  const { salt } = ctx.credentials;
  if (salt === undefined) throw new Error('set the credential "salt" to a long random text');
  const hashed = (value: string) => hmacSha256(salt, value.trim().toLowerCase());
  for (const holder of [event.properties, event.$set, event.$set_once]) {
    if (holder === undefined) continue;
    for (const path of ctx.inputs.properties) {
      const value = getPath(holder, path);
      if (typeof value === "string" && value !== "") setPath(holder, path, hashed(value));
    }
  }
  if (ctx.inputs.distinct_id) event.distinct_id = hashed(event.distinct_id);
  return event;
}
