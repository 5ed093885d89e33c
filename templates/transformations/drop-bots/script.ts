import { botName, isBot } from "headwater:bot";
import type { Context, Event } from "headwater";

interface Inputs {
  mark: boolean;
}

export function transform(event: Event, ctx: Context<Inputs>) {
  const userAgent = event.properties.$raw_user_agent ?? event.properties.$user_agent;
  if (!isBot(userAgent)) return event;
  if (!ctx.inputs.mark) return null;
  event.properties.$is_bot = true;
  event.properties.$bot_name = botName(userAgent);
  return event;
}
