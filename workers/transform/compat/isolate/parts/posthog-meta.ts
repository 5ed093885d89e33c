import type { Event } from "../../../../../shared/event.ts";
import type { Context } from "./context.ts";
import { type City, locate } from "./posthog-geoip.ts";

/** What plugins get as their last argument. */
export interface PluginMeta {
  config: Record<string, unknown>;
  global: Record<string, unknown>;
  geoip: { locate(ip: unknown): Promise<City | null> };
  logger: Record<"debug" | "log" | "info" | "warn" | "error", (...values: unknown[]) => void>;
}

/** What PostHog has there, an isolate has not, and publishing did not find: what to do instead. */
export const MISSING_META: Readonly<Record<string, string>> = {
  storage: "a script has no storage: give it what it needs as inputs, or put it into the event",
  cache: "a script has no cache that outlives it: keep values in meta.global, which lives as long as the isolate",
  jobs: "a script runs no jobs: it must return at once",
  attachments: "a script has no attached files: put their content into the script, a module of the team, or the inputs",
  fetch: "a script has no network: let a destination of its own send what has to be sent",
  metrics: "a script has no metrics of its own: events, drops, errors and fuel of every script are counted",
  utils: "meta.utils is not there: a script has neither cursors nor storage",
};

/** One for the life of the isolate: `config` and `global` are the plugin's own. `current`: the events that it runs on. */
export function pluginMeta(context: Context, current: () => readonly Event[]): PluginMeta {
  const log = (...values: unknown[]) => context.log(...values);
  const meta: PluginMeta = {
    // PostHog keeps secret settings there too.
    config: { ...context.inputs, ...context.credentials },
    global: {},
    geoip: { locate: async (ip) => locate(ip, current()) },
    logger: { debug: log, log, info: log, warn: log, error: log },
  };
  for (const [name, instead] of Object.entries(MISSING_META)) {
    Object.defineProperty(meta, name, {
      get() {
        throw new Error(`cannot use meta.${name}: ${instead}`);
      },
    });
  }
  return meta;
}
