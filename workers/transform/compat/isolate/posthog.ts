/** Runs a PostHog plugin: what the wrapper of such a script imports (dialect.ts). */
import type { Event } from "../../../../shared/event.ts";
import { asOutcome, type Context, type Outcome, type Script, sortOutputs, whenReturned } from "./parts/context.ts";
import { eventFrom, type PluginEvent, pluginEventOf } from "./parts/posthog-event.ts";
import { type PluginMeta, pluginMeta } from "./parts/posthog-meta.ts";

type Returned = PluginEvent | null | undefined;
type Hook = (given: unknown, meta: PluginMeta) => unknown;

/** The plugin of a module: its exports, or, as CommonJS, what it assigned. `default` may hold them too. */
export function pluginOf(script: Script): Plugin {
  const holders: Script[] = [];
  for (const holder of [script, script.__headwater_exports, script.__headwater_module]) {
    const exported =
      holder === script.__headwater_module ? (holder as { exports?: unknown } | undefined)?.exports : holder;
    for (const found of [exported, (exported as Script | undefined)?.default]) {
      if (found !== null && typeof found === "object") holders.push(found as Script);
    }
  }
  return new Plugin((name) => {
    for (const holder of holders) if (typeof holder[name] === "function") return holder[name] as Hook;
    return null;
  });
}

export class Plugin {
  readonly #find: (name: string) => Hook | null;
  #meta: PluginMeta | null = null;
  #current: readonly Event[] = [];

  constructor(find: (name: string) => Hook | null) {
    this.#find = find;
  }

  /** Calls `setupPlugin`, once for the life of the isolate. */
  setup(context: Context): unknown {
    this.#meta = pluginMeta(context, () => this.#current);
    return this.#find("setupPlugin")?.(this.#meta, this.#meta);
  }

  transform(event: Event, context: Context): Outcome | Promise<Outcome> {
    this.#current = [event];
    const returned = this.#hook("processEvent")(pluginEventOf(event, context.team), this.#metaOf(context));
    return whenReturned(returned as Returned, (output) => (isNothing(output) ? null : eventFrom(output, event)));
  }

  transformBatch(events: Event[], context: Context): Outcome[] | Promise<Outcome[]> {
    this.#current = events;
    const given = events.map((event) => pluginEventOf(event, context.team));
    const returned = this.#hook("processEventBatch")([...given], this.#metaOf(context));
    return whenReturned(returned as Returned[], (outputs) => {
      if (!Array.isArray(outputs)) throw new TypeError("processEventBatch returned no array of events");
      const slots = sortOutputs(given, outputs, ({ uuid }) => uuid);
      return slots.map((slot, i) => asOutcome(slot.map(({ item }) => eventFrom(item, events[i] as Event))));
    });
  }

  #hook(name: string): Hook {
    const hook = this.#find(name);
    if (hook === null) throw new TypeError(`does not export a function "${name}"`);
    return hook;
  }

  #metaOf(context: Context): PluginMeta {
    this.#meta ??= pluginMeta(context, () => this.#current);
    return this.#meta;
  }
}

function isNothing(output: Returned): output is null | undefined {
  return output === null || output === undefined;
}
