import { maskIp } from "headwater:ip";
import type { Context, Event } from "headwater";

interface Inputs {
  mode: "mask" | "remove";
}

export function transform(event: Event, ctx: Context<Inputs>) {
  if (ctx.inputs.mode === "remove") {
    event.ip = null;
    delete event.properties.$ip;
    return event;
  }
  if (event.ip !== null) event.ip = maskIp(event.ip);
  if (typeof event.properties.$ip === "string") event.properties.$ip = maskIp(event.properties.$ip);
  return event;
}
