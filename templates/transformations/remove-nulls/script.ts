import { removeNulls } from "headwater:object";
import type { Context, Event } from "headwater";

interface Inputs {
  empty: boolean;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const { empty } = ctx.inputs;
  const options = { emptyTexts: empty, emptyObjects: empty };
  event.properties = removeNulls(event.properties, options);
  if (event.$set !== undefined) event.$set = removeNulls(event.$set, options);
  if (event.$set_once !== undefined) event.$set_once = removeNulls(event.$set_once, options);
  return event;
}
