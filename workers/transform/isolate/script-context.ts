import type { Event } from "../../../shared/event.ts";

const { defineProperty, freeze } = Object;
const { deleteProperty } = Reflect;

/** `ctx`, as a script gets it. */
export interface Context {
  readonly team: string;
  readonly inputs: Record<string, unknown>;
  readonly credentials: Record<string, string>;
  readonly log: (...values: unknown[]) => void;
  /** The event's; absent from the context of a `transformBatch`. */
  readonly geo: Event["geo"];
}

export type ContextClass = new (geo: Event["geo"]) => Context;

/** All that does not change from event to event stands on the prototype: a context costs one field. */
export function contextClass(shared: Omit<Context, "geo">): ContextClass {
  class ScriptContext {
    readonly geo: Event["geo"];
    constructor(geo: Event["geo"]) {
      this.geo = geo;
    }
  }
  const { prototype } = ScriptContext;
  deleteProperty(prototype, "constructor");
  for (const [name, value] of Object.entries(shared)) {
    defineProperty(prototype, name, { value, enumerable: true });
  }
  freeze(prototype);
  return ScriptContext as unknown as ContextClass;
}
